"""`Changes`: takes the changes of settings from their callers to records and subscribers.

A caller only appends to a queue. The shared worker writes the records and hands the changes
to the threads of the subscribers; the event bus has a thread of its own, since a
subscriber there may run on the thread that emits.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.events.bus import emit
from otel_ext.inflight.event_records import write_event
from otel_ext.record.model import EMPTY
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import EXIT_SECONDS, shut_down_at_exit
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.worker import shared_worker
from otel_ext.services.live_settings.watchers import Watchers

if TYPE_CHECKING:
    from otel_ext.runtime.isolated import Ticket
    from otel_ext.runtime.worker import Job
    from otel_ext.services.live_settings.change import Change

__all__ = ["EVENT", "MOST_WAITING", "Changes"]

EVENT: Final = "settings.changed"
"""The name of the event and of the record."""

MOST_WAITING: Final = 1_000
"""How many changes wait at most, for the worker and for the event bus."""

# How often it is looked for changes that a wake-up has missed, in seconds.
_SECONDS: Final = 5.0
# A subscriber of the bus that takes this long is left behind, in seconds.
_HANGING_SECONDS: Final = 10.0


# Those with changes that wait: the worker holds their method weakly.
_WAITING: Final[dict[int, Changes]] = {}


class Changes:
    """A queue of changes, and the handlers that get them.

    At most 1,000 changes wait; further ones replace the oldest, and are counted under
    `settings.dropped`.
    """

    _waiting: deque[Change]
    _dropped: int
    _is_passing: bool
    # A call of the bus that may not have ended, and when it was queued.
    _emission: tuple[Ticket, float] | None

    def __init__(self) -> None:
        self.watchers = Watchers()
        self._job: dict[str, Job] = {}
        self._bus = IsolatedThread("settings", stays=False)
        self._reset()
        after_fork_in_child(self._reset)

    def add(self, change: Change) -> None:
        """Queue a change; called with a lock held, so it does no more than that."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
        self._waiting.append(change)

    def wake(self) -> None:
        """Have the worker take what waits; never waits."""
        _WAITING[id(self)] = self
        job = self._job.get("job")
        if job is None:
            made = shared_worker().every(_SECONDS, self.pass_on, "settings")
            job = self._job.setdefault("job", made)
            if job is made:
                shut_down_at_exit(self.finish)
            else:
                made.cancel()
        shared_worker().ensure()
        job.wake()

    def pass_on(self) -> None:
        """Write the records of what waits, and queue it for subscribers; the worker calls it."""
        _WAITING.pop(id(self), None)
        waiting = self._waiting
        self._is_passing = True
        try:
            for _ in range(len(waiting)):
                self._pass_on(waiting.popleft())
        except IndexError:  # a flush without a worker takes them too
            pass
        finally:
            self._is_passing = False
        dropped, self._dropped = self._dropped, 0
        if dropped:
            COUNTERS.add("settings.dropped", dropped)
            report_problem("settings: changes are not recorded", f"{dropped} came too fast")

    def _pass_on(self, change: Change) -> None:
        write_event(EVENT, change.attributes(), origin=change.author.origin)
        self.watchers.deliver(change)
        self._leave_hanging()
        if self._bus.queued >= MOST_WAITING:
            self._dropped += 1
            return
        ticket = self._bus.submit(emit, EVENT, EMPTY, change.metadata(), is_left=True)
        if self._emission is None:
            self._emission = ticket, monotonic()

    def _leave_hanging(self) -> None:
        """Let the next event have another thread, if a subscriber of the bus hangs."""
        if self._emission is None:
            return
        ticket, since = self._emission
        if ticket.wait(0.0):
            self._emission = None
        elif monotonic() - since > _HANGING_SECONDS:
            self._bus.abandon()
            self._emission = None

    def flush(self, timeout: float) -> bool:
        """Wait until what waits is recorded and handled; return whether that was in time."""
        end = monotonic() + timeout

        def left() -> float:
            return end - monotonic()

        return (
            self._take(left())
            and self._bus.submit(tuple).wait(left())
            and self.watchers.flush(left)
        )

    def finish(self) -> None:
        """Record what waits, at the exit of the program."""
        if self._waiting or self._is_passing:
            self._take(EXIT_SECONDS)

    def _take(self, timeout: float) -> bool:
        return shared_worker().submit(self.pass_on).wait(timeout)

    def _reset(self) -> None:
        """Forget what waits, which the parent of a forked child records."""
        self._waiting = deque(maxlen=MOST_WAITING)
        self._dropped = 0
        self._is_passing = False
        self._emission = None
        _WAITING.pop(id(self), None)
