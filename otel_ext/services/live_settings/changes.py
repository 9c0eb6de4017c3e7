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

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._reset()
        after_fork_in_child(self._reset)

    def add(self, change: Change) -> None:
        """Queue a change; called with a lock held, so it does no more than that."""
        if len(self._waiting) >= MOST_WAITING:
            COUNTERS.add("settings.dropped")
        self._waiting.append(change)

    def wake(self) -> None:
        """Have the worker take a change that waits; never waits."""
        deferred_events().add(self._next)

    def _next(self) -> DeferredEvent | None:
        """Hand the oldest change to the handlers, and return its event; the worker calls it."""
        try:
            change = self._waiting.popleft()
        except IndexError:  # it was dropped
            report_problem("settings: changes are not recorded", "they came too fast")
            return None
        self.watchers.deliver(change)
        return DeferredEvent(
            EVENT,
            metadata=change.metadata(),
            recorded=change.attributes(),
            origin=change.author.origin,
        )

    def flush(self, timeout: float) -> bool:
        """Wait until what waits is recorded and handled; return whether that was in time."""
        end = monotonic() + timeout
        return deferred_events().flush(timeout) and self.watchers.flush(lambda: end - monotonic())

    def _reset(self) -> None:
        """Forget what waits, which the parent of a forked child records."""
        self._waiting = deque(maxlen=MOST_WAITING)
