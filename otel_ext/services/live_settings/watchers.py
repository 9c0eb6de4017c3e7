"""`Watchers`: the handlers that a program has subscribed to changes of its settings."""

from __future__ import annotations

from threading import get_ident
from types import MethodType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.events.event import Event
from otel_ext.events.subscription import Limits, Subscription
from otel_ext.record.model import EMPTY
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.weak_method import WeakMethod
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.events.subscription import Handler
    from otel_ext.runtime.worker import Job
    from otel_ext.services.live_settings.change import Change

__all__ = ["Watchers"]

# How often it is looked for handlers that hang, in seconds.
_WATCH_SECONDS: Final = 1.0


class _Call:
    """Calls a handler while its object exists; knows on which thread it runs."""

    def __init__(self, handler: Handler) -> None:
        # The name in messages.
        self.__qualname__ = getattr(handler, "__qualname__", type(handler).__name__)
        self.thread = 0
        self._handler: Callable[[], Handler | None] = lambda: handler
        if isinstance(handler, MethodType):
            weak = WeakMethod(cast("Callable[[], object]", handler))
            self._handler = cast("Callable[[], Handler | None]", weak)

    @property
    def is_gone(self) -> bool:
        return self._handler() is None

    def __call__(self, event: Event) -> None:
        handler = self._handler()
        if handler is None:
            return
        self.thread = get_ident()
        try:
            handler(event)
        finally:
            self.thread = 0


class _Watcher(NamedTuple):
    subscription: Subscription
    call: _Call


class Watchers:
    """Passes changes to handlers, each on a thread of its own; one that fails is detached.

    >>> Watchers().current
    ()
    """

    def __init__(self) -> None:
        self.current: tuple[_Watcher, ...] = ()
        self._known: dict[int, _Watcher] = {}
        self._job: Job | None = None

    def add(self, pattern: str, handler: Handler, limits: Limits) -> Subscription:
        """Subscribe a handler to the settings whose names match `pattern`."""
        call = _Call(handler)
        subscription = Subscription(pattern, call, limits, inline=False, forget=self._forget)
        self._known[id(subscription)] = _Watcher(subscription, call)
        self._publish()
        if self._job is None:
            self._job = shared_worker().every(_WATCH_SECONDS, self.watch, "settings handlers")
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        self._known.pop(id(subscription), None)
        self._publish()

    def _publish(self) -> None:
        # Again if another thread has changed them meanwhile.
        while (now := tuple(self._known.values())) != self.current:
            self.current = now

    def watch(self) -> None:
        """Detach handlers that hang, and those whose object is gone; the worker calls it."""
        for subscription, call in self.current:
            subscription.leave_hanging()
            if call.is_gone:
                subscription.cancel()

    def deliver(self, change: Change) -> None:
        """Queue a change for the handlers of its settings; never waits, never raises.

        A handler does not get what it has changed itself, or that could go on without end.
        """
        for changed in change.changed:
            name = changed.leaf.name
            metadata = {"settings": change.settings, "old": changed.old, "new": changed.new}
            event = Event(name, EMPTY, metadata, change.time_ns)  # type: ignore[arg-type]
            for subscription, call in self.current:
                if not subscription.matches(name) or call in change.callers:
                    continue
                try:
                    subscription.deliver(event)
                except Exception as error:  # noqa: BLE001 - the other handlers must get it
                    report_problem("a change of a setting could not be delivered", error)

    def running_here(self) -> tuple[object, ...]:
        """Return those whose handler runs on this thread."""
        here = get_ident()
        return tuple(call for _, call in self.current if call.thread == here)

    def flush(self, seconds_left: Callable[[], float]) -> bool:
        """Wait until the handlers had all that waits for them; return whether that was in time."""
        return all(one.flush(seconds_left()) for one, _ in self.current)
