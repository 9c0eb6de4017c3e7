"""Writes the end of spans that will not write it themselves.

A span that was collected, whose owner died, or that grew too old gets an end
record that says so: `abandoned`. That is a guess about the future, so a real
end that still comes is recorded as well, and wins wherever records are merged.
The user's span itself is never touched.
"""

from __future__ import annotations

from time import monotonic, monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final, cast

from otel_ext.inflight.owners import TaskOwner, ThreadOwner
from otel_ext.record.model import EMPTY, UNSET_STATUS, Record
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.inflight.owners import Owner
    from otel_ext.inflight.table import Entry, InflightTable, Key
    from otel_ext.record.model import Abandoned

__all__ = ["DEFAULT_GRACE", "DEFAULT_MAX_AGE", "REAPER_INTERVAL", "Reaper"]

REAPER_INTERVAL: Final = 0.05
"""Seconds between two runs: what keeps the promise of 100 ms."""
DEFAULT_GRACE: Final = 0.5
"""Seconds that a dead owner's span is given to be ended by somebody else."""
DEFAULT_MAX_AGE: Final = 7 * 24 * 3600.0
"""Seconds after which an open span is no longer tracked."""

_AGE_CHECK: Final = 5.0
_new_record: Final = cast(
    "Callable[[type[Record], tuple[object, ...]], Record]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)
_MAX_AT_ONCE: Final = 5_000
# At an exit: so many records at a time are let into the ring buffer.
_BATCH: Final = 50
# Where a record's fields begin that only an end has: `start_ns` and on.
_START_NS: Final = Record._fields.index("start_ns")
# What is counted when a record is refused.
_REFUSED: Final = ("dropped.queue_full", "dropped.write_failed", "dropped.hook_failed")
# Looking at tasks may take a fiftieth of one processor, whatever their number.
_TASK_BUDGET: Final = 50.0


def _always(_until: float) -> bool:
    return True


def _refused() -> int:
    return sum(map(COUNTERS.value, _REFUSED))


def _abandoned_end(start: Record, cause: Abandoned, end_ns: int, seq: int) -> Record:
    """Return the end of the span `start`: as `_replace` would, at a third of its cost."""
    return _new_record(
        Record,
        (start[0], "end", start[2], end_ns, seq)  # noqa: RUF005 - twice as quick as unpacking
        + start[5:_START_NS]
        + (start[3], UNSET_STATUS, (), cause, "", "", EMPTY),
    )


class _Pending:
    """What the reaper knows of spans whose owner died; a forked child begins another."""

    __slots__ = ("doomed", "threads")

    def __init__(self) -> None:
        # Spans of dead owners: their entry, since when, and when they are reported.
        self.doomed: dict[Key, tuple[Entry, int, float]] = {}
        # Threads that left Python and may still run.
        self.threads: list[ThreadOwner] = []


class Reaper:
    """Finds abandoned spans of one table and hands their end records on.

    Args:
        table: The open spans.
        emit: Takes the records; called without any lock held.
        grace: Seconds between an owner's death and the report.
        max_age: Seconds after which a span is given up.
    """

    def __init__(
        self,
        table: InflightTable,
        emit: Callable[[Record], None],
        *,
        grace: float = DEFAULT_GRACE,
        max_age: float = DEFAULT_MAX_AGE,
    ) -> None:
        self._table = table
        self._emit = emit
        self._grace = grace
        self._max_age_ns = int(max_age * 1e9)
        self._pending = _Pending()
        self._next_age_check = 0.0
        self._next_task_check = 0.0
        after_fork_in_child(self._reset)

    def run(self) -> None:
        """Look once; the job that the worker runs every `REAPER_INTERVAL`."""
        self._reap_collected()
        self._notice_dead_owners()
        now = monotonic()
        if self._table.owners.has_tasks and now >= self._next_task_check:
            self._notice_finished_tasks()
            took = monotonic() - now
            self._next_task_check = now + took * _TASK_BUDGET
        if self._pending.doomed:
            self._report_doomed()
        if now >= self._next_age_check:
            self._next_age_check = now + _AGE_CHECK
            self._expire()
            reported = self._table.reported
            # One by one: who begins a new segment may look at it meanwhile.
            reported -= {key for key in reported.copy() if self._table.get(key) is None}

    def abandon_all(
        self,
        cause: Abandoned = "shutdown",
        *,
        timeout: float = 1.0,
        has_room: Callable[[float], bool] = _always,
    ) -> int:
        """Write an abandoned end for every open span; for an orderly exit.

        Args:
            cause: Why.
            timeout: Seconds after which the rest is left to recovery: it stays in the
                table.
            has_room: Waits until many records more can be taken, or until a moment by
                the monotonic clock; whether they can.

        Returns:
            For how many spans it was done.
        """
        self._reap_collected()
        until = monotonic() + timeout
        keys = self._table.keys()
        done = 0
        for at in range(0, len(keys), _BATCH):
            if monotonic() > until or not has_room(until):
                break
            done += self._abandon_batch(keys[at : at + _BATCH], cause)
        return done

    def _abandon_batch(self, keys: list[Key], cause: Abandoned) -> int:
        """Abandon spans that are open at the exit; as quick as Python can."""
        refused = _refused()
        taken = self._table.take(keys)
        reported = self._table.reported
        next_seq = incarnation.current().next_seq
        wall_ns, seen_ns = time_ns(), monotonic_ns()
        done = 0
        for key, entry in taken:
            if key not in reported:
                start = entry.record
                end_ns = max(wall_ns, start.time_ns + seen_ns - entry.born)
                self._emit(_abandoned_end(start, cause, end_ns, next_seq()))
                done += 1
        COUNTERS.add(f"abandoned.{cause}", done)
        if _refused() != refused:
            # Whose end is missing only the file can tell: recovery looks there.
            self._table.put_back(taken)
        elif is_exiting():
            self._table.keep(taken)
        return done

    def _reap_collected(self) -> None:
        collected = self._table.collected
        for _ in range(_MAX_AT_ONCE):
            try:
                entry = collected.popleft()
            except IndexError:  # the worker and the one who shuts down may both be here
                return
            record = entry.record
            key = (int(record.trace_id, 16), int(record.span_id, 16))
            # It is no longer there if its end came in the same collection, from a finalizer.
            if self._table.remove(key, entry) and key not in self._table.reported:
                self._abandon(entry, "garbage-collected", monotonic_ns())

    def _notice_dead_owners(self) -> None:
        gone = self._table.owners.gone
        threads, self._pending.threads = self._pending.threads, []
        for _ in range(len(gone)):
            owner = gone.popleft()
            if isinstance(owner, ThreadOwner):
                threads.append(owner)
            else:
                self._doom_task(owner)
        dead: set[int] = set()
        for thread in threads:
            if thread.runs_on_system():
                self._pending.threads.append(thread)
            else:
                dead.add(id(thread))
        if dead:
            for key, entry in self._table.entries():
                if id(entry.owner) in dead:
                    self._doom(key, entry)
        # Before this line their addresses could not be given to other owners.
        del threads

    def _notice_finished_tasks(self) -> None:
        """Find tasks that are done but still referenced, so that nothing tells of them."""
        doomed = self._pending.doomed
        for key, entry in self._table.entries():
            owner: Owner = entry.owner
            if type(owner) is TaskOwner and key not in doomed and not owner.is_alive():
                self._doom(key, entry)

    def _doom_task(self, owner: Owner) -> None:
        if isinstance(owner, TaskOwner):
            entry = self._table.get(owner.key)
            if entry is not None and entry.owner is owner:
                self._doom(owner.key, entry)

    def _doom(self, key: Key, entry: Entry) -> None:
        if key not in self._pending.doomed and key not in self._table.reported:
            self._pending.doomed[key] = (entry, monotonic_ns(), monotonic() + self._grace)

    def _report_doomed(self) -> None:
        now = monotonic()
        doomed = self._pending.doomed
        for key, (entry, died_ns, due) in doomed.copy().items():
            if self._table.get(key) is not entry:
                del doomed[key]  # ended by somebody else
            elif now >= due:
                del doomed[key]
                # The entry stays: a real end that still comes finds its start.
                self._table.reported.add(key)
                self._abandon(entry, "owner-died", died_ns)

    def _expire(self) -> None:
        oldest_allowed = monotonic_ns() - self._max_age_ns
        for key, entry in self._table.entries():
            if entry.born > oldest_allowed:
                break
            if self._table.remove(key, entry) and key not in self._table.reported:
                self._abandon(entry, "expired", monotonic_ns())

    def _abandon(self, entry: Entry, cause: Abandoned, seen_ns: int) -> None:
        """Emit the end record of `entry`, last seen at `seen_ns` by the monotonic clock."""
        start = entry.record
        since = monotonic_ns() - seen_ns
        # By the wall clock, as the SDK takes its times; never before what has
        # passed by the monotonic clock, should the wall clock have been set back.
        end_ns = max(time_ns() - since, start.time_ns + seen_ns - entry.born)
        COUNTERS.add(f"abandoned.{cause}")
        seq = incarnation.current().next_seq()
        self._emit(_abandoned_end(start, cause, end_ns, seq))

    def _reset(self) -> None:
        self._pending = _Pending()
        self._next_task_check = 0.0
