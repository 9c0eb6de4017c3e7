"""Keeps watch over the open spans of one processor: table, reaper, watchdog, heartbeat.

Nothing runs before the first span. Then all jobs share the one worker thread.
"""

from __future__ import annotations

import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.inflight.heartbeat import HEARTBEAT_INTERVAL, Heartbeat
from otel_ext.inflight.reaper import DEFAULT_GRACE, DEFAULT_MAX_AGE, REAPER_INTERVAL, Reaper
from otel_ext.inflight.table import DEFAULT_MAX_SPANS, InflightTable
from otel_ext.inflight.watchdog import DEFAULT_THRESHOLD, WATCHDOG_INTERVAL, Watchdog
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.record.model import Record
    from otel_ext.runtime.worker import Job, Worker

__all__ = ["InflightSettings", "Tracker", "dump"]

_NO_THRESHOLDS: Final[Mapping[str, float]] = MappingProxyType({})


class InflightSettings(NamedTuple):
    """How open spans are watched; times in seconds.

    Attributes:
        max_spans: Spans tracked at once; more are recorded without being tracked.
        max_age: Age at which a span is given up.
        owner_grace: What a dead owner's span is given to be ended by somebody else.
        stall_after: Age at which a span counts as stalled; 0 means never.
        stall_thresholds: Other such ages by pattern of the span's name.
        heartbeat: Between two heartbeat records.
    """

    max_spans: int = DEFAULT_MAX_SPANS
    max_age: float = DEFAULT_MAX_AGE
    owner_grace: float = DEFAULT_GRACE
    stall_after: float = DEFAULT_THRESHOLD
    stall_thresholds: Mapping[str, float] = _NO_THRESHOLDS
    heartbeat: float = HEARTBEAT_INTERVAL


class Tracker:
    """Watches the open spans of one processor.

    Args:
        emit: Takes the records that come of it; must not raise.
        settings: What to watch for.
        worker: Who runs the jobs; the process's one worker by default.
    """

    def __init__(
        self,
        emit: Callable[[Record], None],
        settings: InflightSettings | None = None,
        worker: Worker | None = None,
    ) -> None:
        settings = settings or InflightSettings()
        self.table = InflightTable(max_spans=settings.max_spans)
        self.reaper = Reaper(self.table, emit, grace=settings.owner_grace, max_age=settings.max_age)
        self.watchdog = Watchdog(
            self.table,
            emit,
            threshold=settings.stall_after,
            thresholds=settings.stall_thresholds,
        )
        self.heartbeat = Heartbeat(emit, self.table.__len__)
        self.worker = worker or shared_worker()
        self._settings = settings
        self._jobs: dict[str, Job] = {}
        _trackers.add(self)

    def begin(self) -> None:
        """Start to watch; called with each start of a span, so nearly free. Twice is once."""
        if not self._jobs:
            self._add("reaper", REAPER_INTERVAL, self.reaper.run)
            self._add("watchdog", WATCHDOG_INTERVAL, self.watchdog.run)
            self._add("heartbeat", self._settings.heartbeat, self.heartbeat.run)
        self.worker.ensure()

    def _add(self, name: str, seconds: float, run: Callable[[], None]) -> None:
        job = self.worker.every(seconds, run, name)
        # Two threads may begin at once; setdefault is one step.
        if self._jobs.setdefault(name, job) is not job:
            job.cancel()

    def stop(self) -> None:
        """Watch no more, and say of each open span that the process shut down."""
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.cancel()
        self.reaper.abandon_all("shutdown")


_trackers: Final[weakref.WeakSet[Tracker]] = weakref.WeakSet()


def dump(limit: int | None = None) -> int:
    """Record where every open span of this process is now, with its stack.

    Args:
        limit: The oldest so many of each provider only; None for all.

    Returns:
        For how many spans a record was made.

    >>> dump() >= 0
    True
    """
    return sum(tracker.watchdog.dump(limit) for tracker in list(_trackers))
