"""`BatchWriter`: has one record written for each aggregate, on a timer and before each flush."""

from __future__ import annotations

from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.events.deferred import DeferredEvent, deferred_events
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from otel_ext.events.aggregates import Aggregate, Aggregates
    from otel_ext.events.rates import Rates
    from otel_ext.runtime.worker import Job

__all__ = ["BatchWriter"]

_JOB: Final = "sampled events"
_LOST: Final = "dropped.sampled_events"
_LEFT_OUT: Final = "sampled_events.measurements_left_out"


class BatchWriter:
    """Has the aggregates of one `SampledEvents` written.

    Args:
        aggregates: What is written.
        seconds: The time between two batches.
        rates: Tells which share of the events the aggregates stand for.
    """

    def __init__(self, aggregates: Aggregates, seconds: float, rates: Rates | None) -> None:
        self._aggregates = aggregates
        self._seconds = seconds
        self._rates = rates
        self._jobs: dict[str, Job] = {}
        self._first_end = 0.0
        self._is_left = False
        self._is_registered = False
        self._cell = HealthCell("sampled events")
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._aggregates.reset()

    def begin(self) -> None:
        """Start the timer; cheap once it runs. At exit, write instead."""
        if is_exiting():  # the last batch may have been written
            self.flush()
            return
        if not self._jobs:
            # The worker calls a new job 20 ms later, whatever its interval is.
            self._first_end = monotonic() + self._seconds
            job = shared_worker().every(self._seconds, self._tick, _JOB)
            # Two threads may begin at once; setdefault is one step.
            if self._jobs.setdefault(_JOB, job) is not job:
                job.cancel()
            # Until it ends: the timer and the exit hold it weakly, and something may wait.
            _writers[id(self)] = self
            if not self._is_registered:
                self._is_registered = True
                deferred_events().add_source(self.take)
        shared_worker().ensure()

    def leave(self) -> None:
        """Let the timer write what waits and end; for a finalizer, which must not write."""
        self._is_left = True
        for job in list(self._jobs.values()):
            job.wake()

    def end(self) -> None:
        """Write what waits, and stop the timer. Idempotent; `begin` starts it again."""
        self._stop()
        self.flush()

    def _stop(self) -> None:
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.cancel()
        _writers.pop(id(self), None)

    def _tick(self) -> None:
        """Write a window; the worker calls it, so it waits for nothing."""
        if self._is_left:
            self._stop()
        elif monotonic() < self._first_end:
            return
        self.take()
        deferred_events().run()

    def flush(self) -> None:
        """Write all that waits, and wait until subscribers have it."""
        self.take()
        deferred_events().flush()

    def take(self) -> None:
        """Queue what waits as deferred events."""
        window = self._aggregates.take()
        lost = window.lost
        for aggregate in window.aggregates:
            if not deferred_events().add(self._event_of, aggregate, window.seconds):
                lost += aggregate.emits
        self._report(lost, window.left_out)

    def _event_of(self, aggregate: Aggregate, seconds: float) -> DeferredEvent:
        measurements = aggregate.measurements()
        measurements["window_seconds"] = round(seconds, 6)
        if self._rates is not None and (rate := self._rates.of(aggregate.name)) < 1.0:
            measurements["sample_rate"] = rate
        finite = {name: value for name, value in measurements.items() if isfinite(value)}
        return DeferredEvent(aggregate.name, finite, aggregate.metadata, origin=aggregate.origin)

    def _report(self, lost: int, left_out: int) -> None:
        if lost:
            COUNTERS.add(_LOST, lost)
            self._cell.degraded("events are lost: too many at once while a thread hung")
            report_problem("SampledEvents", "events are lost: too many at once while a thread hung")
        elif self._cell.report().state != "healthy":
            self._cell.healthy("events were lost before")
        if left_out:
            COUNTERS.add(_LEFT_OUT, left_out)
            report_problem("SampledEvents", "an event with too many measurements; use at most 64")


_writers: Final[dict[int, BatchWriter]] = {}
