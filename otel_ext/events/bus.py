"""The event bus: `subscribe` to spans and other events, `emit` your own.

Without a subscriber to them, spans are recorded exactly as if the bus did not exist. Events of
spans come from the records of a `LifecycleSpanProcessor`, so one must be set up, as
`otel_ext.configure()` does.
"""

from __future__ import annotations

import re
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.events.event import RECORD_EVENTS, Event, event_name_of, event_of
from otel_ext.events.subscription import Limits, Subscription, in_handler
from otel_ext.record.model import EMPTY
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.runtime.worker import shared_worker
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.events.subscription import Handler
    from otel_ext.record.model import Record
    from otel_ext.runtime.worker import Job

__all__ = ["emit", "emit_later", "has_subscribers", "subscribe"]

_PATTERN: Final = re.compile(r"\*|[^\s*]+(\.\*|\*)?")
_DEFAULTS: Final = Limits()
# How often it is looked for handlers that hang.
_WATCH_SECONDS: Final = 1.0


def is_pattern(pattern: object) -> bool:
    return isinstance(pattern, str) and _PATTERN.fullmatch(pattern) is not None


class _Bus:
    """The subscriptions of this process."""

    def __init__(self) -> None:
        self.subscriptions: tuple[Subscription, ...] = ()
        self._known: dict[int, Subscription] = {}
        self._watch: Job | None = None

    def add(self, subscription: Subscription) -> None:
        if self._watch is None:
            self._watch = shared_worker().every(_WATCH_SECONDS, self.watch, "event handlers")
        self._known[id(subscription)] = subscription
        self._publish()

    def remove(self, subscription: Subscription) -> None:
        self._known.pop(id(subscription), None)
        self._publish()

    def _publish(self) -> None:
        while True:
            self.subscriptions = now = tuple(self._known.values())
            # Subscribers to events of the program alone leave the path of a span as it is.
            if any(one.matches(name) for one in now for name in RECORD_EVENTS):
                LISTENERS.add(self.hear)
            else:
                LISTENERS.remove(self.hear)
            if tuple(self._known.values()) == now:
                return

    def watch(self) -> None:
        """Detach handlers that hang; the worker calls it."""
        for subscription in self.subscriptions:
            subscription.leave_hanging()

    def hear(self, record: Record) -> None:
        """Deliver the event that a record is, if a subscription matches it."""
        name = event_name_of(record)
        if not name or in_handler():
            return
        event = None
        for subscription in self.subscriptions:
            if subscription.matches(name):
                event = event or event_of(record, name)
                self._deliver(subscription, event)

    def emit(
        self,
        name: str,
        measurements: Mapping[str, float],
        metadata: Mapping[str, object],
        without: Sequence[Subscription] = (),
    ) -> None:
        check_process()
        event = None
        for subscription in self.subscriptions:
            if subscription.matches(name) and subscription not in without:
                event = event or Event(name, dict(measurements), dict(metadata), time_ns())
                self._deliver(subscription, event)

    def _deliver(self, subscription: Subscription, event: Event) -> None:
        try:
            shared_worker().ensure()
            subscription.deliver(event)
        except Exception as error:  # noqa: BLE001 - nothing may reach the code that emits
            report_problem("an event could not be delivered", error)


_BUS: Final = _Bus()


def subscribe(
    pattern: str,
    handler: Handler,
    *,
    inline: bool = False,
    max_failures: int = _DEFAULTS.failures,
    max_seconds: float = _DEFAULTS.seconds,
    max_queued: int = _DEFAULTS.queued,
) -> Subscription:
    """Call `handler` with each event whose name matches `pattern`.

    The handler runs on a thread of its own, so that a slow one does not slow the program;
    events that do not fit into its queue are dropped and counted. One whose call does not
    return within `max_seconds` is detached while it hangs. So is one that raises, or returns
    later than that, `max_failures` times in a row. Both are reported on stderr. Spans that a
    handler starts make no events, and it does not get the events that it emits itself.

    Args:
        pattern: The name of an event, such as `span.stop`; a prefix with `*`, such as
            `span.*`; or `*` for all. `RECORD_EVENTS` lists the names that otel-ext emits.
        handler: Called with an `Event`; what it returns is ignored.
        inline: Whether to call it at once, on the thread that emits, while that waits.
        max_failures: How many calls in a row may raise or be slow.
        max_seconds: How long a call may take; looked at each second and with each event.
        max_queued: How many events may wait for the handler.

    Returns:
        The subscription; its `cancel()` ends it, and so does the end of a `with` block.

    Raises:
        ConfigError: The pattern, the handler or a limit is not valid.

    >>> heard = []
    >>> with subscribe("cache.*", heard.append, inline=True):
    ...     emit("cache.miss", {"size": 3}, {"key": "a"})
    ...     emit("queue.full")
    >>> [event.name for event in heard]
    ['cache.miss']
    """
    if not is_pattern(pattern):
        raise ConfigError(
            f"pattern={pattern!r} is not a valid pattern of event names",
            hint="Use a name (span.stop), a prefix (span.*) or * for all events.",
        )
    if not callable(handler):
        raise ConfigError(
            f"handler={handler!r} cannot be called", hint="Use a function that takes an Event."
        )
    for name, limit in (
        ("max_failures", max_failures),
        ("max_seconds", max_seconds),
        ("max_queued", max_queued),
    ):
        check_limit(name, limit, is_whole=name != "max_seconds")
    limits = Limits(max_failures, max_seconds, max_queued)
    subscription = Subscription(pattern, handler, limits, inline=inline, forget=_BUS.remove)
    _BUS.add(subscription)
    return subscription


def has_subscribers(name: str) -> bool:
    """Return whether there is a subscription to events of this name.

    >>> has_subscribers("cache.miss")
    False
    """
    return any(one.matches(name) for one in _BUS.subscriptions)


def emit(
    name: str,
    measurements: Mapping[str, float] = EMPTY,  # type: ignore[assignment]
    metadata: Mapping[str, object] = EMPTY,
) -> None:
    """Emit an event of the program to the subscribers in this process; never raises.

    Args:
        name: Such as `cache.miss`. A dot separates groups, for prefixes.
        measurements: Numbers.
        metadata: Facts.

    >>> emit("cache.miss", {"size": 3}, {"key": "a"})
    """
    emit_later(name, measurements, metadata, ())


def emit_later(
    name: str,
    measurements: Mapping[str, float],
    metadata: Mapping[str, object],
    without: Sequence[Subscription],
) -> None:
    """Emit an event that was made before, as `emit` does, but not to some subscriptions.

    Args:
        name: As for `emit`.
        measurements: As for `emit`.
        metadata: As for `emit`.
        without: Those whose handlers have made it.

    >>> emit_later("cache.miss", {"size": 3}, {"key": "a"}, ())
    """
    if not _BUS.subscriptions:
        return
    try:
        _BUS.emit(name, measurements, metadata, without)
    except Exception as error:  # noqa: BLE001 - such as measurements that are not a mapping
        report_problem(f"the event {short_repr(name)} is lost", error)
