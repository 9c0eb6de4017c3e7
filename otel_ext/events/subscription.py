"""`Subscription`: one handler of events, its queue and thread, and the limits on both."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import describe, report_problem
from otel_ext.runtime.isolated import IsolatedThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from otel_ext.events.event import Event

__all__ = ["Handler", "Limits", "Subscription", "in_handler", "running_subscriptions"]

Handler: TypeAlias = "Callable[[Event], object]"


class _Call:
    """A call of a handler; tasks that it starts know it longer than it runs."""

    __slots__ = ("subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self.subscription: Subscription | None = subscription


# The calls of handlers here: the spans that these start are not reported, and none gets an
# event that it emits itself, or that would never end.
_running: Final[ContextVar[tuple[_Call, ...]]] = ContextVar("otel_ext_event_handlers", default=())


def in_handler() -> bool:
    """Whether the calling code is an event handler.

    >>> in_handler()
    False
    """
    return any(call.subscription is not None for call in _running.get())


def running_subscriptions() -> tuple[Subscription, ...]:
    """Return the subscriptions whose handlers are calling here, however deep.

    >>> running_subscriptions()
    ()
    """
    calls = _running.get()
    if not calls:
        return ()
    return tuple(call.subscription for call in calls if call.subscription is not None)


def _is_cancelled(error: BaseException) -> bool:
    return type(error).__name__ == "CancelledError"


class Limits:
    """When a handler is detached, and how much may wait for it.

    Args:
        failures: How many calls in a row may raise or take too long.
        seconds: How long a call may take.
        queued: How many events may wait; further ones are dropped and counted.
    """

    __slots__ = ("failures", "queued", "seconds")

    def __init__(self, failures: int = 3, seconds: float = 5.0, queued: int = 10_000) -> None:
        self.failures = failures
        self.seconds = seconds
        self.queued = queued


class Subscription:
    """A handler that gets events until it is cancelled, or detached because it fails.

    Made by `subscribe`. As a context manager it is cancelled at the end of the block.

    Attributes:
        pattern: Which events it gets.
        dropped: How many events did not fit into its queue.
        detached: Why it was detached; empty while it was not.
    """

    _queue: deque[Event]
    _is_draining: bool
    _called_at: float
    _thread: IsolatedThread

    def __init__(
        self,
        pattern: str,
        handler: Handler,
        limits: Limits,
        *,
        inline: bool,
        forget: Callable[[Subscription], None],
    ) -> None:
        self.pattern = pattern
        self.handler = handler
        self.dropped = 0
        self.detached = ""
        self._prefix = pattern[:-1] if pattern.endswith("*") else None
        self._limits = limits
        self._inline = inline
        self._forget = forget
        self._failures = 0
        self._label = f"event handler {getattr(handler, '__qualname__', type(handler).__name__)}"
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def active(self) -> bool:
        """Whether the handler still gets events."""
        return not self.detached

    def matches(self, name: str) -> bool:
        """Whether the handler gets events of this name."""
        prefix = self._prefix
        return name == self.pattern if prefix is None else name.startswith(prefix)

    def cancel(self) -> None:
        """Pass no more events to the handler; those that wait are dropped. Idempotent."""
        self._detach("cancelled")

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until the handler had all events so far; return whether that was in time."""
        if self._inline or not self.active:
            return True
        return self._thread.submit(tuple).wait(timeout) and not self._queue

    def deliver(self, event: Event) -> None:
        """Give the handler an event: now, or on its own thread."""
        if any(call.subscription is self for call in _running.get()):
            return
        if self._inline:
            self._call(event)
            return
        if self.leave_hanging():
            return
        if len(self._queue) >= self._limits.queued:
            self.dropped += 1
            COUNTERS.add("events.dropped")
            return
        self._queue.append(event)
        if not self._is_draining:
            self._start_draining()

    def leave_hanging(self) -> bool:
        """Detach the handler if its call has not returned in time; return whether it was."""
        seconds = self._limits.seconds
        if monotonic() - self._called_at <= seconds:
            return False
        self._thread.abandon()
        self._fail(f"a call has not returned for {seconds:g} s", is_final=True)
        return True

    def _drain(self) -> None:
        """Handle what waits; runs on the thread of this subscription."""
        queue = self._queue
        try:
            while queue and self.active:
                try:
                    event = queue.popleft()
                except IndexError:  # cancelled meanwhile
                    break
                self._call(event)
        finally:
            self._is_draining = False
        if queue and self.active:  # one came after the last look
            self._start_draining()

    def _start_draining(self) -> None:
        self._is_draining = True
        try:
            self._thread.submit(self._drain, is_left=True)
        except BaseException:  # an interrupt of this thread
            self._is_draining = False
            raise

    def _call(self, event: Event) -> None:
        call = _Call(self)
        token = _running.set((*_running.get(), call))
        self._called_at = begun = monotonic()
        try:
            self.handler(event)
        except BaseException as error:  # a handler must not stop the program or its own thread
            # The result of a cancelled future is none of the caller's.
            if self._inline and not isinstance(error, Exception) and not _is_cancelled(error):
                raise
            self._fail(describe(error))
        else:
            if monotonic() - begun > self._limits.seconds:
                self._fail(f"a call took longer than {self._limits.seconds:g} s")
            else:
                self._failures = 0
        finally:
            self._called_at = inf
            call.subscription = None
            _running.reset(token)

    def _fail(self, reason: str, *, is_final: bool = False) -> None:
        if not self.active:
            return
        self._failures += 1
        COUNTERS.add("events.handler_failed")
        if is_final or self._failures >= self._limits.failures:
            report_problem(self._label, f"detached from {self.pattern!r}: {reason}")
            self._detach(reason)
        else:
            report_problem(self._label, reason)

    def _detach(self, reason: str) -> None:
        if self.active:
            self.detached = reason
            self._forget(self)
            self._queue.clear()
            self._thread.stop()

    def _reset(self) -> None:
        """Forget what waits and the thread, which a forked child does not have."""
        self._queue = deque()
        self._is_draining = False
        self._called_at = inf
        self._thread = IsolatedThread("event handler")

    def __enter__(self) -> Subscription:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()
