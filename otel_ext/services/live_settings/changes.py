"""`Changes`: takes the changes of settings from their callers to records and subscribers.

A caller only appends to a queue. The shared worker writes the records, and hands the changes
to the threads of the subscribers.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.events.deferred import DeferredEvent, deferred_events
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.services.live_settings.shown import without_secrets
from otel_ext.services.live_settings.watchers import Watchers

if TYPE_CHECKING:
    from otel_ext.services.live_settings.change import Change

__all__ = ["EVENT", "MOST_WAITING", "Changes"]

EVENT: Final = "settings.changed"
"""The name of the event and of the record."""

MOST_WAITING: Final = 1_000
"""How many changes wait at most."""


class Changes:
    """A queue of changes, and the handlers that get them.

    At most 1,000 changes wait; further ones replace the oldest, and are counted under
    `settings.dropped`.
    """

    _waiting: deque[Change]
    _dropped: int

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._reset()
        after_fork_in_child(self._reset)

    def add(self, change: Change) -> None:
        """Queue a change; called with a lock held, so it does no more than that."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
        self._waiting.append(change)

    def wake(self) -> None:
        """Have the worker take what waits; never waits."""
        # Refused by a full queue: the next change or a flush wakes it again.
        deferred_events().add(self._take)

    def _take(self) -> list[DeferredEvent]:
        """Hand what waits to the handlers, and return its events; the worker calls it."""
        dropped, self._dropped = self._dropped, 0
        if dropped:
            COUNTERS.add("settings.dropped", dropped)
            report_problem("settings: changes are not recorded", f"{dropped} came too fast")
        events: list[DeferredEvent] = []
        waiting = self._waiting
        for _ in range(len(waiting)):
            try:
                change = waiting.popleft()
            except IndexError:  # a flush takes them on another thread
                break
            self.watchers.deliver(change)
            events.append(_event_of(change))
        return events

    def flush(self, timeout: float) -> bool:
        """Wait until what waits is recorded and handled; return whether that was in time."""
        end = monotonic() + timeout
        if self._waiting:
            self.wake()
        return deferred_events().flush(timeout) and self.watchers.flush(lambda: end - monotonic())

    def _reset(self) -> None:
        """Forget what waits, which the parent of a forked child records."""
        self._waiting = deque(maxlen=MOST_WAITING)
        self._dropped = 0


def _event_of(change: Change) -> DeferredEvent:
    return DeferredEvent(
        EVENT,
        metadata=without_secrets(change.metadata()),
        recorded=without_secrets(change.attributes()),
        origin=change.author.origin,
    )
