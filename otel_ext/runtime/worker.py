"""The one background thread: it runs small jobs, each every so many seconds.

Draining the ring buffer, reaping spans and the heartbeat all share it. It starts
with the first record, is a daemon, takes no lock that a caller holds, and is
started again when it dies. Whoever hands in a job bounds the time it takes.
"""

from __future__ import annotations

import weakref
from contextvars import Context
from functools import partial
from itertools import count
from threading import get_ident
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import context

from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import PartHealth, register_part
from otel_ext.runtime.supervisor import Supervisor, shared_supervisor
from otel_ext.runtime.threads import WakeEvent, may_start_threads, new_lock, start_thread
from otel_ext.runtime.weak_method import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context.context import Context as OtelContext

__all__ = ["WORKER_NAME", "Job", "Worker", "shared_worker"]

WORKER_NAME: Final = "otel-ext-worker"
_LONGEST_SLEEP: Final = 5.0
_MAX_BACKOFF: Final = 30.0
_LONG_JOB: Final = 5.0
# One that takes so long is not waited for at the exit, which has waited for its work before.
_HANGING_JOB: Final = 1.0
# A job that began at once would take the interpreter lock from the thread that asks
# for it: the program's, within its first span.
_FIRST_PAUSE: Final = 0.02
# Jobs due this soon are run together, so that the thread wakes less often.
_SLACK: Final = 0.005
# What instrumentations of HTTP clients and the like ask before they make spans.
# The name is the one they have always understood; the API's own key is newer.
_SUPPRESS: Final = ("suppress_instrumentation", "_SUPPRESS_INSTRUMENTATION_KEY")


class Job:
    """One periodic job; `cancel` ends it, `wake` makes it run at once."""

    __slots__ = (
        "_call",
        "_worker",
        "due",
        "error",
        "failures",
        "interval",
        "name",
        "since_ns",
        "woken",
    )

    def __init__(
        self, worker: Worker, call: Callable[[], None], interval: float, name: str
    ) -> None:
        self._worker = worker
        self._call = _weakly(call)
        self.interval = interval
        self.name = name
        self.due = monotonic() + _FIRST_PAUSE
        self.failures = 0
        self.error = ""
        self.since_ns = 0
        self.woken = False

    def cancel(self) -> None:
        """Run the job no more; a run that is under way is not waited for. Twice is once."""
        self._worker.forget(self)

    def wake(self) -> None:
        """Run the job as soon as the thread is free; safe in signal handlers."""
        self.due = 0.0
        self.woken = True
        self._worker.notify()

    def postpone(self) -> None:
        """Leave the interpreter to whoever starts the thread, for a moment."""
        self.due = max(self.due, monotonic() + _FIRST_PAUSE)

    def run(self) -> bool:
        """Run once, now; whether the job is still wanted."""
        call = self._call()
        if call is None:
            return False
        self.woken = False
        try:
            call()
        except Exception as error:  # noqa: BLE001 - other jobs must go on
            self._note_failure(error)
        else:
            self.failures = 0
            # Woken meanwhile: what it was woken for may still be to do.
            self.due = 0.0 if self.woken else monotonic() + self.interval
        return True

    def _note_failure(self, error: Exception) -> None:
        if self.failures == 0:
            self.since_ns = time_ns()
        self.failures += 1
        self.error = f"{type(error).__name__}: {error}"
        backoff = self.interval * 2.0 ** min(self.failures, 20)
        self.due = monotonic() + min(backoff, max(self.interval, _MAX_BACKOFF))
        report_problem(f"{WORKER_NAME}: {self.name} failed and will be tried again", error)


def _weakly(call: Callable[[], None]) -> Callable[[], Callable[[], None] | None]:
    """Return how to get at `call`; a bound method does not keep its object alive."""
    if hasattr(call, "__self__") and hasattr(call, "__func__"):
        return WeakMethod(call)
    return lambda: call


class _Life:
    """One thread's life; a restart and a forked child begin another."""

    __slots__ = ("busy", "ended", "ident", "running", "stopping", "wake_event")

    def __init__(self) -> None:
        self.running = False
        self.stopping = False
        self.ident = 0
        # The job under way and since when, by the monotonic clock.
        self.busy: tuple[str, float] | None = None
        self.wake_event = WakeEvent()
        # Held while the thread lives.
        self.ended = new_lock()

    def stop(self) -> bool:
        """Let the thread end behind the job under way; whether that does not seem to hang."""
        self.stopping = True
        self.wake_event.set()
        busy = self.busy
        return busy is None or monotonic() - busy[1] < _HANGING_JOB


class Worker:
    """Runs periodic jobs on one daemon thread.

    Args:
        name: The thread's name.
        supervisor: Who starts it again when it dies.

    >>> worker = Worker("doctest-worker", Supervisor())
    >>> done = new_lock()
    >>> _ = done.acquire()
    >>> job = worker.every(60, done.release, "say once")
    >>> worker.ensure()
    >>> done.acquire(timeout=10)
    True
    >>> job.cancel()
    >>> worker.stop(timeout=10)
    True
    """

    def __init__(self, name: str = WORKER_NAME, supervisor: Supervisor | None = None) -> None:
        self.name = name
        self._jobs: dict[int, Job] = {}
        self._numbers = count()
        self._life = _Life()
        self._context = _untraced()
        self._supervisor = supervisor or shared_supervisor()
        register_part(self._report)
        after_fork_in_child(self._reset)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._life.running

    def every(self, seconds: float, job: Callable[[], None], name: str) -> Job:
        """Run `job` every `seconds`, the first time 20 ms after the thread has started.

        Does not start the thread; `ensure` does, also after a `stop`. A job that raises is reported
        and tried again, ever less often.

        Args:
            seconds: From the end of one run to the next.
            job: Quick, or bounded in time. A bound method is held weakly: it
                ends with its object.
            name: What the job is called in `health()` and in messages.

        Raises:
            ValueError: If `seconds` is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"every {seconds!r} seconds: use a number above 0")
        made = Job(self, job, seconds, name)
        if self._life.stopping:
            self._life = _Life()
        self._jobs[next(self._numbers)] = made
        self.notify()
        return made

    def forget(self, job: Job) -> None:
        """Drop `job` from the list."""
        for number, known in self._jobs.copy().items():
            if known is job:
                self._jobs.pop(number, None)

    def wake(self) -> None:
        """Run all jobs now, except those that wait after a failure."""
        for job in list(self._jobs.values()):
            if not job.failures:
                job.due = 0.0
        self.notify()

    def notify(self) -> None:
        """Let the thread look at its jobs; never waits, safe in signal handlers."""
        self._life.wake_event.set()

    def ensure(self) -> None:
        """Start the thread if it does not run; for every hook, so nearly free."""
        if self._life.running or not may_start_threads():
            return
        if self._supervisor.is_down(self.name):
            self._supervisor.ensure()
        elif not self._life.stopping:
            # The supervisor lives on; it must not keep a dropped worker alive.
            start = WeakMethod(self._start)
            self._supervisor.add(self.name, lambda: _call_if_alive(start))
            self._supervisor.start(self.name)

    def stop(self, timeout: float = 2.0) -> bool:
        """End the thread and wait for it; `ensure` does not start it again.

        Args:
            timeout: Seconds to wait; 0 does not wait.

        Returns:
            Whether the thread has ended.
        """
        life = self._life
        self._supervisor.remove(self.name)
        life.stop()
        if not life.running:
            return True
        if life.ident == get_ident():
            return False  # called by a job: the thread ends behind it
        if not life.ended.acquire(timeout=max(timeout, 0.0)):
            return False
        life.ended.release()
        return True

    def _start(self) -> None:
        if self._life.running or self._life.stopping:
            return
        life = _Life()
        life.ended.acquire()
        life.running = True
        for job in list(self._jobs.values()):
            job.postpone()
        self._life = life
        body = partial(_run, weakref.ref(self), life, is_untraced=self._context is not None)
        if self._context is not None:
            # A copy: a forked child may find the original in use by a thread that is gone.
            body = partial(self._context.copy().run, body)
        try:
            start_thread(body, self.name, life.stop)
        except BaseException:
            life.running = False
            raise

    def run_due_jobs(self) -> float:
        """Run what is due; called by the thread.

        Returns:
            Seconds until something is due again.
        """
        for number, job in self._jobs.copy().items():
            now = monotonic()
            if job.due > now + _SLACK:
                continue
            self._life.busy = (job.name, now)
            if not job.run():
                self._jobs.pop(number, None)
        self._life.busy = None
        due = min((job.due for job in list(self._jobs.values())), default=_LONGEST_SLEEP * 1e9)
        return min(max(due - monotonic(), 0.0), _LONGEST_SLEEP)

    def note_end(self, life: _Life, error: BaseException | None) -> None:
        """Take note that the thread of `life` ends; called by it."""
        if error is not None and life is self._life and not life.stopping:
            self._supervisor.died(self.name, error)

    def _report(self) -> PartHealth:
        busy = self._life.busy
        if busy is not None and monotonic() - busy[1] > _LONG_JOB:
            text = f"{busy[0]} has been running for {monotonic() - busy[1]:.0f} s"
            return PartHealth(f"{self.name} jobs", "degraded", text, time_ns())
        failing = [job for job in list(self._jobs.values()) if job.failures]
        if not failing:
            return PartHealth(f"{self.name} jobs", "healthy", f"{len(self._jobs)} jobs")
        text = "; ".join(f"{job.name} failed {job.failures} times: {job.error}" for job in failing)
        since = min(job.since_ns for job in failing)
        return PartHealth(f"{self.name} jobs", "degraded", text, since)

    def _reset(self) -> None:
        """In a forked child: no thread; the jobs stay."""
        self._life = _Life()
        for job in self._jobs.values():
            job.due = 0.0
            job.failures = 0


def _call_if_alive(reference: WeakMethod[None]) -> None:
    call = reference()
    if call is not None:
        call()


def _suppress_instrumentation() -> object:
    """Tell instrumentations that what is done from here on is not to be traced."""
    plain, private = _SUPPRESS
    marked = context.set_value(plain, value=True)
    key = getattr(context, private, None)
    if isinstance(key, str):
        marked = context.set_value(key, value=True, context=marked)
    return context.attach(marked)


def _untraced() -> Context | None:
    """Return a context for the thread in which instrumentations trace nothing.

    Made at set-up: a program's test may count all calls of OpenTelemetry's `attach`, and
    would see one of the thread. None where OpenTelemetry's context is of another kind.
    """
    before = context.get_current()
    made = Context()
    token = made.run(_suppress_instrumentation)
    if context.get_current() is before:
        return made
    context.detach(cast("Token[OtelContext]", token))
    return None


def _run(reference: weakref.ref[Worker], life: _Life, *, is_untraced: bool) -> None:
    """Run jobs until the worker stops or is dropped; the body of the thread."""
    problem: BaseException | None = None
    try:
        life.ident = get_ident()
        if not is_untraced:
            _suppress_instrumentation()
        while not life.stopping:
            worker = reference()
            if worker is None:
                return
            pause = worker.run_due_jobs()
            # Without it the worker could not be collected while the thread sleeps.
            del worker
            if pause and not life.stopping:
                life.wake_event.wait(pause)
    except BaseException as error:  # noqa: BLE001 - a thread has nobody to tell but its supervisor
        problem = error
    finally:
        worker = reference()
        if worker is not None:
            worker.note_end(life, problem)
        life.running = False
        life.ended.release()


_shared: Final[dict[str, Worker]] = {}


def shared_worker() -> Worker:
    """Return the worker of this process; its thread starts with `ensure`.

    >>> shared_worker() is shared_worker()
    True
    """
    found = _shared.get("worker")
    return found if found is not None else _shared.setdefault("worker", Worker())
