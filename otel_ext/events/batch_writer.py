"""`BatchWriter`: has one record written for each aggregate, on a timer and before each flush."""

from __future__ import annotations

from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.events.deferred import DeferredEvent, deferred_events
from otel_ext.runtime.before_flush import before_flush
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import is_exiting, shut_down_at_exit
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from otel_ext.events.aggregates import Aggregate, Aggregates, Window
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
                before_flush(self.flush)
                shut_down_at_exit(self.end)
        shared_worker().ensure()

    def leave(self) -> None:
        """Let the timer write what waits and end; for a finalizer, which must not write."""
        self._is_left = True
        for job in list(self._jobs.values()):
            job.wake()

    def end(self) -> None:
        """Write what waits, and stop the timer. Idempotent; `begin` starts it again."""
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.cancel()
        _writers.pop(id(self), None)
        self.flush()

    def _tick(self) -> None:
        if self._is_left:
            self.end()
        elif monotonic() >= self._first_end:
            self._write()

    def flush(self) -> None:
        """Write all that waits."""
        self._write()
        deferred_events().flush()

    def _write(self) -> None:
        window = self._aggregates.take()
        for aggregate in window.aggregates:
            if not deferred_events().add(self._event_of, aggregate, window.seconds):
                COUNTERS.add(_LOST, aggregate.emits)
        _report(window)

    def _event_of(self, aggregate: Aggregate, seconds: float) -> DeferredEvent:
        measurements = aggregate.measurements()
        measurements["window_seconds"] = round(seconds, 6)
        if self._rates is not None and (rate := self._rates.of(aggregate.name)) < 1.0:
            measurements["sample_rate"] = rate
        finite = {name: value for name, value in measurements.items() if isfinite(value)}
        return DeferredEvent(aggregate.name, finite, aggregate.metadata, origin=aggregate.origin)


def _report(window: Window) -> None:
    if window.lost:
        COUNTERS.add(_LOST, window.lost)
        report_problem("SampledEvents", "events are lost: too many at once while a thread hung")
    if window.left_out:
        COUNTERS.add(_LEFT_OUT, window.left_out)
        report_problem("SampledEvents", "an event with too many measurements; use at most 64")


_writers: Final[dict[int, BatchWriter]] = {}
