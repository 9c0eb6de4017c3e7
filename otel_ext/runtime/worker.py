"""Runs periodic jobs on one background thread.

Draining the ring buffer, reaping spans and the heartbeat all share it. It starts
with the first record, is a daemon and takes no lock that a caller holds. When it dies,
the next span hook after a back-off starts it again. Each job must bound the time it takes.
"""

from __future__ import annotations

from contextvars import Context
from functools import partial
from math import inf
from time import monotonic, time_ns
from types import MethodType
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import context

from otel_ext.runtime.backoff import Backoff
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell, PartHealth, register_part
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.restarts import RestartPolicy
from otel_ext.runtime.threads import may_start_threads
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context.context import Context as OtelContext

__all__ = ["WORKER_NAME", "Job", "Worker", "shared_worker"]

WORKER_NAME: Final = "otel-ext-worker"
_LONGEST_SLEEP: Final = 5.0
# The pauses after failures: the first before a restart of the thread, and the longest.
_FIRST_RESTART: Final = 0.1
_MAX_BACKOFF: Final = 30.0
# A thread that ran for so long starts with the first pause again when it dies.
_STABLE: Final = 60.0
_LONG_JOB: Final = 5.0
# A job that ran at once would take the interpreter lock from the thread that starts
# the worker: the program's, within its first span.
_FIRST_PAUSE: Final = 0.02
# Jobs due this soon are run together, so that the thread wakes less often.
_SLACK: Final = 0.005
# The context keys that instrumentations check before they make spans: the name that all
# of them know, and the newer private key of OpenTelemetry's API.
_SUPPRESS: Final = ("suppress_instrumentation", "_SUPPRESS_INSTRUMENTATION_KEY")


class Job:
    """One periodic job: `cancel` removes it, `wake` runs it as soon as possible."""

    def __init__(
        self, worker: Worker, call: Callable[[], object], interval: float, name: str
    ) -> None:
        self._worker = worker
        # Weak for a bound method: the job ends with its object.
        self._call = WeakMethod(call) if isinstance(call, MethodType) else lambda: call
        self.interval = interval
        self.name = name
        self.due = monotonic() + _FIRST_PAUSE
        # Its first pause is twice the interval.
        self.backoff = Backoff(interval * 2.0, max(interval, _MAX_BACKOFF))
        self.since_ns = 0
        self.woken = False

    def cancel(self) -> None:
        """Remove the job; does not wait for a run in progress. Idempotent."""
        self._worker.forget(self)

    def wake(self) -> None:
        """Run the job as soon as the thread is free; safe in signal handlers."""
        self.due = 0.0
        self.woken = True
        self._worker.notify()

    def postpone(self) -> None:
        """Delay the job a moment, so that the thread that starts the worker goes on first."""
        self.due = max(self.due, monotonic() + _FIRST_PAUSE)

    def run(self) -> bool:
        """Run once, now; return False if the job's object is gone."""
        call = self._call()
        if call is None:
            return False
        self.woken = False
        try:
            call()
        except Exception as error:  # noqa: BLE001 - other jobs must go on
            self._note_failure(error)
        else:
            if self.backoff.failures:
                self.backoff.reset()
            # Woken during the run: the reason for that may have come too late for it.
            self.due = 0.0 if self.woken else monotonic() + self.interval
        return True

    def _note_failure(self, error: Exception) -> None:
        if not self.backoff.failures:
            self.since_ns = time_ns()
        now = monotonic()
        self.due = now + self.backoff.failed(now, f"{type(error).__name__}: {error}")
        report_problem(f"{WORKER_NAME}: {self.name} failed and will be tried again", error)


class Worker(IsolatedThread):
    """Runs periodic jobs on one daemon thread.

    Args:
        name: The thread's name.

    >>> from threading import Event
    >>> worker = Worker("doctest-worker")
    >>> done = Event()
    >>> job = worker.every(60, done.set, "set")
    >>> worker.ensure(), done.wait(10)
    (True, True)
    >>> job.cancel()
    >>> worker.stop(timeout=10)
    True
    """

    def __init__(self, name: str = WORKER_NAME) -> None:
        self._jobs: dict[Job, None] = {}
        # The name of the running job; empty while a call runs, or nothing.
        self._job_name = ""
        self._stopped = False
        self._context = _untraced()
        self._restarts = RestartPolicy(_FIRST_RESTART, _MAX_BACKOFF, stable=_STABLE)
        self._cell: HealthCell | None = None
        super().__init__(name, name=name)
        register_part(self._health)

    def every(self, seconds: float, job: Callable[[], object], name: str) -> Job:
        """Run `job` every `seconds`, the first time 20 ms after the thread has started.

        `ensure` starts the thread, also after a `stop`; this does not. A job that raises
        is reported and tried again with back-off.

        Args:
            seconds: From the end of one run to the next.
            job: Quick, or bounded in time. A bound method is held weakly: the job ends
                with its object.
            name: The job's name in `health()` and in messages.

        Raises:
            ValueError: If `seconds` is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"every {seconds!r} seconds: use a number above 0")
        made = Job(self, job, seconds, name)
        if self._stopped:
            self._stopped = False
            self.abandon()  # it may still be ending
        self._jobs[made] = None
        self.notify()
        return made

    def forget(self, job: Job) -> None:
        """Remove `job` from the list."""
        self._jobs.pop(job, None)

    def notify(self) -> None:
        """Wake the thread to check its jobs; never waits, safe in signal handlers."""
        self._state.wake_event.set()

    def ensure(self) -> bool:
        """Start the thread if it does not run; cheap, for every span hook."""
        if self._state.running:
            return True
        if self._stopped or not may_start_threads():
            return False
        # Another thread may stop the worker meanwhile.
        cell = self._cell = self._cell or HealthCell(self.name, "not started")
        failures = self._restarts.failures
        is_started = super().ensure()
        if is_started and self._restarts.failures == failures:  # else it has died already
            again = f"running, started again after {failures} failures"
            cell.healthy(again if failures else "running")
        return is_started

    def stop(self, timeout: float = 2.0) -> bool:
        """End the thread after the running job; `ensure` does not start it again.

        Waits up to `timeout` seconds, and returns whether the thread has ended.
        """
        self._stopped = True
        self._cell = None
        self._restarts.reset()
        return super().stop(timeout)

    def died(self, error: BaseException) -> None:
        """Let the next span hook after a pause start the thread again."""
        self._state.next_start = monotonic() + self._refused(error)

    def _refused(self, error: BaseException) -> float:
        text = f"{type(error).__name__}: {error}"
        delay = self._restarts.failed(monotonic(), text)
        if (cell := self._cell) is not None:
            cell.failed(f"{text}; starts again with the first span after {delay:.1f} s")
        report_problem(f"{self.name}: stopped and will be started again", error)
        return delay

    def _body(self, body: Callable[[], None]) -> Callable[[], None]:
        self._restarts.started(monotonic())
        for job in list(self._jobs):
            job.postpone()
        if self._context is None:
            return partial(_run_untraced, body)
        # A copy: a forked child may find the original in use by a thread that is gone.
        return partial(self._context.copy().run, body)

    def work(self) -> float:
        """Run the jobs that are due; return the seconds until the next one is."""
        for job in list(self._jobs):
            now = monotonic()
            if job.due > now + _SLACK:
                continue
            self._job_name = job.name
            self._state.busy_since = now
            if not job.run():
                self.forget(job)
        self._job_name = ""
        self._state.busy_since = inf
        due = min((job.due for job in list(self._jobs)), default=_LONGEST_SLEEP * 1e9)
        return min(max(due - monotonic(), 0.0), _LONGEST_SLEEP)

    def _health(self) -> PartHealth:
        seconds = monotonic() - self._state.busy_since
        if seconds > _LONG_JOB:
            text = f"{self._job_name or 'a flush'} has been running for {seconds:.0f} s"
            return PartHealth(f"{self.name} jobs", "degraded", text, time_ns())
        failing = [job for job in list(self._jobs) if job.backoff.failures]
        if not failing:
            return PartHealth(f"{self.name} jobs", "healthy", f"{len(self._jobs)} jobs")
        text = "; ".join(
            f"{job.name} failed {job.backoff.failures} times: {job.backoff.problem}"
            for job in failing
        )
        since = min(job.since_ns for job in failing)
        return PartHealth(f"{self.name} jobs", "degraded", text, since)

    def _reset(self) -> None:
        """Forget the thread, which a forked child does not have; the jobs stay."""
        super()._reset()
        self._stopped = False
        self._job_name = ""
        self._restarts.reset()
        for job in self._jobs:
            job.due = 0.0
            job.backoff.reset()


def _suppress_instrumentation() -> object:
    """Switch instrumentations off in the current context; return the token."""
    plain, private = _SUPPRESS
    marked = context.set_value(plain, value=True)
    key = getattr(context, private, None)
    if isinstance(key, str):
        marked = context.set_value(key, value=True, context=marked)
    return context.attach(marked)


def _untraced() -> Context | None:
    """Return a context for the thread in which instrumentations trace nothing.

    Made at set-up, not by the thread: a program's test that counts calls of OpenTelemetry's
    `attach` would see it. None where OpenTelemetry's context is not a context variable.
    """
    before = context.get_current()
    made = Context()
    token = made.run(_suppress_instrumentation)
    if context.get_current() is before:
        return made
    context.detach(cast("Token[OtelContext]", token))
    return None


def _run_untraced(body: Callable[[], None]) -> None:
    _suppress_instrumentation()
    body()


_shared: Final[dict[str, Worker]] = {}


def shared_worker() -> Worker:
    """Return the worker of this process; its thread starts with `ensure`.

    >>> shared_worker() is shared_worker()
    True
    """
    return _shared.get("worker") or _shared.setdefault("worker", Worker())
