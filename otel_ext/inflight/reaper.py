"""Writes an `abandoned` end record for spans that will probably never end.

These are spans that were garbage-collected, whose owner died, or that grew too old.
The guess may be wrong, so a real end that still comes is recorded as well, and wins
wherever records are merged. The user's span object is never changed.
"""

from __future__ import annotations

from time import monotonic, monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.inflight.owners import TaskOwner, ThreadOwner
from otel_ext.inflight.settings import InflightSettings
from otel_ext.record.model import EMPTY, UNSET_STATUS, Record, new_record
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.inflight.owners import Owner
    from otel_ext.inflight.table import Entry, InflightTable, Key
    from otel_ext.record.model import Abandoned

__all__ = ["REAPER_INTERVAL", "Reaper"]

REAPER_INTERVAL: Final = 0.05
"""Seconds between two runs: short enough to report within 100 ms."""

_AGE_CHECK: Final = 5.0
_MAX_AT_ONCE: Final = 5_000
# The records that an exit puts into the ring buffer at a time.
_BATCH: Final = 50
# The index of the first field that only an end record has.
_START_NS: Final = Record._fields.index("start_ns")
# The counters of refused records.
_REFUSED: Final = ("dropped.queue_full", "dropped.write_failed", "dropped.hook_failed")
# Checking tasks may take 1/50 of one processor, however many there are.
_TASK_BUDGET: Final = 50.0


def _always(_until: float) -> bool:
    return True


def _refused() -> int:
    return sum(map(COUNTERS.value, _REFUSED))


def _abandoned_end(start: Record, cause: Abandoned, end_ns: int, seq: int) -> Record:
    """Return the end record of the span `start`, as `_replace` would at three times the cost."""
    return new_record(
        Record,
        (start[0], "end", start[2], end_ns, seq)  # noqa: RUF005 - twice as quick as unpacking
        + start[5:_START_NS]
        + (start[3], UNSET_STATUS, (), cause, "", "", EMPTY),
    )


class _Pending:
    """Spans whose owner died and that are not reported yet; a forked child gets a new object."""

    __slots__ = ("orphans", "threads")

    def __init__(self) -> None:
        # Spans of dead owners: the entry, when the owner died, when to report it.
        self.orphans: dict[Key, tuple[Entry, int, float]] = {}
        # Threads that left Python and may still run C code.
        self.threads: list[ThreadOwner] = []


class Reaper:
    """Finds abandoned spans of one table and emits their end records.

    Args:
        table: The open spans.
        emit: Called with each record, without any lock held.
        grace: Seconds between an owner's death and the report, in which another thread or
            task may still end the span.
        max_age: Age in seconds at which a span is reported as expired.
    """

    def __init__(
        self,
        table: InflightTable,
        emit: Callable[[Record], None],
        *,
        grace: float = InflightSettings.owner_grace,
        max_age: float = InflightSettings.max_open_age,
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
        """Find and report abandoned spans; the worker runs it every `REAPER_INTERVAL`."""
        self._reap_collected()
        self._find_orphans()
        now = monotonic()
        if self._table.owners.has_tasks and now >= self._next_task_check:
            self._find_orphans_of_finished_tasks()
            took = monotonic() - now
            self._next_task_check = now + took * _TASK_BUDGET
        if self._pending.orphans:
            self._report_orphans()
        if now >= self._next_age_check:
            self._next_age_check = now + _AGE_CHECK
            self._expire()
            reported = self._table.reported
            # In place: a thread that starts a new segment may read the set meanwhile.
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
            timeout: Seconds after which the remaining spans stay in the table, for
                recovery.
            has_room: Waits for room for many records, at most until a moment of the
                monotonic clock; returns whether there is room.

        Returns:
            The number of spans that got an end.
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
        """Write the ends of spans that are open at the exit; optimised for speed."""
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
            # Which ends are missing can only be read from the file: recovery does that.
            self._table.put_back(taken)
        elif is_exiting():
            self._table.keep(taken)
        return done

    def _reap_collected(self) -> None:
        collected = self._table.collected
        for _ in range(_MAX_AT_ONCE):
            try:
                entry = collected.popleft()
            except IndexError:  # the worker and a thread that shuts down may both be here
                return
            record = entry.record
            key = (int(record.trace_id, 16), int(record.span_id, 16))
            # The entry is gone if a finalizer ended the span in the same collection.
            if self._table.remove(key, entry) and key not in self._table.reported:
                self._abandon(entry, "garbage-collected", monotonic_ns())

    def _find_orphans(self) -> None:
        gone = self._table.owners.gone
        threads, self._pending.threads = self._pending.threads, []
        for _ in range(len(gone)):
            owner = gone.popleft()
            if isinstance(owner, ThreadOwner):
                threads.append(owner)
            else:
                self._add_orphan_of(owner)
        dead: set[int] = set()
        for thread in threads:
            if thread.runs_on_system():
                self._pending.threads.append(thread)
            else:
                dead.add(id(thread))
        if dead:
            for key, entry in self._table.entries():
                if id(entry.owner) in dead:
                    self._add_orphan(key, entry)
        # Until this line no other owner could get one of their addresses.
        del threads

    def _find_orphans_of_finished_tasks(self) -> None:
        """Find tasks that are done but still referenced, so that no callback runs."""
        orphans = self._pending.orphans
        for key, entry in self._table.entries():
            owner: Owner = entry.owner
            if type(owner) is TaskOwner and key not in orphans and not owner.is_alive():
                self._add_orphan(key, entry)

    def _add_orphan_of(self, owner: Owner) -> None:
        if isinstance(owner, TaskOwner):
            entry = self._table.get(owner.key)
            if entry is not None and entry.owner is owner:
                self._add_orphan(owner.key, entry)

    def _add_orphan(self, key: Key, entry: Entry) -> None:
        if key not in self._pending.orphans and key not in self._table.reported:
            self._pending.orphans[key] = (entry, monotonic_ns(), monotonic() + self._grace)

    def _report_orphans(self) -> None:
        now = monotonic()
        orphans = self._pending.orphans
        for key, (entry, died_ns, due) in orphans.copy().items():
            if self._table.get(key) is not entry:
                del orphans[key]  # another thread or task ended it
            elif now >= due:
                del orphans[key]
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
        """Emit the end record of `entry`; it ended at `seen_ns` of the monotonic clock."""
        start = entry.record
        since = monotonic_ns() - seen_ns
        # By the wall clock, like the SDK's times; but not earlier than the monotonic
        # clock allows, in case the wall clock was set back.
        end_ns = max(time_ns() - since, start.time_ns + seen_ns - entry.born)
        COUNTERS.add(f"abandoned.{cause}")
        seq = incarnation.current().next_seq()
        self._emit(_abandoned_end(start, cause, end_ns, seq))

    def _reset(self) -> None:
        self._pending = _Pending()
        self._next_task_check = 0.0
