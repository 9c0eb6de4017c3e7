"""Tracks the open spans of one processor, with table, reaper, watchdog and heartbeat.

Nothing runs before the first span. Then all jobs share the one worker thread.

Of all trackers with the same destination, one sends the process's heartbeat there.
Each checks before a beat whether it is the one, so nothing must be handed over when
that one stops, is dropped, or is in a forked child.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import TYPE_CHECKING, Final

from otel_ext.inflight.entities import LivingEntities
from otel_ext.inflight.heartbeat import Heartbeat
from otel_ext.inflight.reaper import REAPER_INTERVAL, Reaper
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.table import InflightTable
from otel_ext.inflight.watchdog import WATCHDOG_INTERVAL, Watchdog
from otel_ext.record.sanitise.sanitiser import PLAIN
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.process.incarnation import declare_heartbeat
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record
    from otel_ext.record.sanitise.sanitiser import Sanitiser
    from otel_ext.runtime.worker import Job, Worker

__all__ = ["Tracker", "dump", "event_senders"]

_FIRST_JOB: Final = "late spans"
_LAST_JOB: Final = "reaper"
_NEVER: Final = 1e9  # seconds: thirty years
_HEALTH_INTERVAL: Final = 2.0


class Tracker:
    """Watches the open spans of one processor.

    Attributes:
        emit: Exports a record of something other than the start or end of a span.
        sanitiser: Makes the records safe on the way.
        emit_safe: Exports a record that `sanitiser` has made safe.
        living: The entities that its event records are about.

    Args:
        emit: Called with each record; must not raise.
        settings: Limits and intervals; an age or a heartbeat interval of 0 means never.
        worker: Runs the jobs; the process's shared worker by default.
        destination: Where the records go: trackers with the same one send one heartbeat.
        before: Called by the worker each time before it looks for abandoned spans.
        record_health: Called by the worker every 2 s, for one tracker of the process.
    """

    def __init__(
        self,
        emit: Callable[[Record], None],
        settings: InflightSettings | None = None,
        worker: Worker | None = None,
        destination: object = None,
        before: Callable[[], None] | None = None,
        record_health: Callable[[], None] | None = None,
    ) -> None:
        self.emit = emit
        self.sanitiser: Sanitiser = PLAIN
        self.emit_safe = emit
        self.living = LivingEntities()
        self._before = before
        self._record_health = record_health
        settings = settings or InflightSettings()
        self.table = InflightTable(max_spans=settings.max_open_spans)
        self.reaper = Reaper(
            self.table,
            emit,
            grace=settings.owner_grace,
            max_age=settings.max_open_age or _NEVER,
        )
        self.watchdog = Watchdog(
            self.table,
            emit,
            threshold=settings.stall_after,
            thresholds=settings.stall_patterns,
        )
        self._number = next(_numbers)
        self._destination = emit if destination is None else destination
        self.heartbeat = Heartbeat(emit, _count_open, self._sends_heartbeat)
        self.worker = worker or shared_worker()
        self._heartbeat_interval = settings.heartbeat_interval
        if self._heartbeat_interval:
            declare_heartbeat(self._heartbeat_interval)
        self._jobs: dict[str, Job] = {}
        self._is_stopped = False
        _trackers[self._number] = self

    def begin(self) -> bool:
        """Start the jobs and return whether the worker's thread runs; cheap once it does."""
        if not self._jobs:
            # The worker adds the other jobs: this thread may be in the program's first span.
            self._add(self._jobs, _FIRST_JOB, REAPER_INTERVAL, self._run_first)
        self.worker.ensure()
        return self.worker.is_alive

    def open_records(self) -> list[Record]:
        """Return what a journal repeats in a new file: what is open, and the living entities."""
        return self.table.start_records() + self.living.records()

    def _run_first(self) -> None:
        jobs = self._jobs
        if _FIRST_JOB in jobs and _LAST_JOB not in jobs:
            self._add(jobs, "watchdog", WATCHDOG_INTERVAL, self.watchdog.run)
            if self._heartbeat_interval:
                self._add(jobs, "heartbeat", self._heartbeat_interval, self.heartbeat.run)
            if self._record_health is not None:
                self._add(jobs, "health", _HEALTH_INTERVAL, self._run_health)
            self._add(jobs, _LAST_JOB, REAPER_INTERVAL, self.reaper.run)
        if self._before is not None:
            self._before()

    def _run_health(self) -> None:
        if self._record_health is not None and event_senders()[:1] == [self]:
            self._record_health()

    def _add(
        self, jobs: dict[str, Job], name: str, seconds: float, run: Callable[[], None]
    ) -> None:
        job = self.worker.every(seconds, run, name)
        # Two threads may start at once; setdefault is one step.
        if jobs.setdefault(name, job) is not job or jobs is not self._jobs:
            job.cancel()

    def _rank(self, destination: object) -> tuple[float, int] | None:
        """Return the rank among the trackers of `destination`; None if this cannot send to it."""
        if not self._heartbeat_interval or self._destination is not destination:
            return None
        if not self._jobs or not self.worker.is_alive:
            return None
        return self._heartbeat_interval, self._number

    def _sends_heartbeat(self) -> bool:
        ranks = [tracker._rank(self._destination) for tracker in _existing()]  # noqa: SLF001
        return min(filter(None, ranks), default=None) == self._rank(self._destination)

    def stop(self, timeout: float = 1.0, has_room: Callable[[float], bool] | None = None) -> bool:
        """Stop the jobs, and write an end with the cause `shutdown` for each open span.

        Args:
            timeout: Seconds after which the remaining spans are left to recovery.
            has_room: As for `Reaper.abandon_all`.

        Returns:
            Whether all of them got an end.
        """
        self._is_stopped = True
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.cancel()
        if has_room is None:
            self.reaper.abandon_all("shutdown", timeout=timeout)
        else:
            self.reaper.abandon_all("shutdown", timeout=timeout, has_room=has_room)
        return not len(self.table)


_numbers: Final = count()
_trackers: Final[weakref.WeakValueDictionary[int, Tracker]] = weakref.WeakValueDictionary()


def _existing() -> list[Tracker]:
    # `valuerefs` copies the references in one step: other threads may add trackers.
    found = (reference() for reference in _trackers.valuerefs())
    return [tracker for tracker in found if tracker is not None]


def _count_open() -> int:
    """Return how many spans are open in this process, each counted once."""
    tables = [tracker.table for tracker in _existing() if len(tracker.table)]
    if len(tables) <= 1:
        return sum(map(len, tables))
    return len({key for table in tables for key, _ in table.entries()})


def event_senders() -> list[Tracker]:
    """Return the tracker that sends event records to each destination: its first one.

    >>> event_senders() == event_senders()
    True
    """
    found: dict[int, Tracker] = {}
    for tracker in sorted(_existing(), key=lambda one: one._number):  # noqa: SLF001
        if not tracker._is_stopped or is_exiting():  # noqa: SLF001
            found.setdefault(id(tracker._destination), tracker)  # noqa: SLF001
    return list(found.values())


def dump(limit: int | None = None) -> int:
    """Record where every open span of this process is now, with its stack.

    Args:
        limit: At most this many spans of each provider, the oldest first; None for all.

    Returns:
        The number of records.

    >>> dump() >= 0
    True
    """
    check_process()
    return sum(tracker.watchdog.dump(limit) for tracker in _existing())
