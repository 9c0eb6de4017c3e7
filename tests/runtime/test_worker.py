"""The worker thread: its jobs, its failures, its end."""

from __future__ import annotations

import _thread
import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.runtime.health import PartHealth, health
from otel_ext.runtime.worker import WORKER_NAME, Worker, shared_worker
from tests.programs import becomes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
NUMBERS = count()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Return a separate worker, stopped at the end."""
    made = Worker(f"test-worker-{next(NUMBERS)}")
    yield made
    assert made.stop(10)


def part_of(worker: Worker, suffix: str = "") -> PartHealth:
    """Return the worker's part of the health."""
    part = health().part(worker.name + suffix)
    assert part is not None
    return part


def threads_named(name: str) -> list[threading.Thread]:
    """Return the live threads of that name."""
    return [thread for thread in threading.enumerate() if thread.name == name]


def kill_thread(name: str) -> None:
    """Make the thread of that name raise SystemExit, wherever it is."""
    (thread,) = threads_named(name)
    assert becomes_true(lambda: thread.ident is not None)
    assert thread.ident is not None
    kill = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert kill(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)) == 1


def test_the_thread_starts_when_it_is_needed_and_is_a_daemon(worker: Worker) -> None:
    """Adding a job starts no thread; `ensure` starts one, however often it is called."""
    runs: list[float] = []
    worker.every(0.01, lambda: runs.append(time.monotonic()), "count")
    assert not worker.is_alive
    assert not threads_named(worker.name)
    for _ in range(3):
        worker.ensure()
    assert becomes_true(lambda: len(runs) >= 3)
    (thread,) = threads_named(worker.name)
    assert thread.daemon


def test_jobs_run_at_their_intervals(worker: Worker) -> None:
    """A frequent job runs more often than a rare one, which runs at once and then waits."""
    frequent: list[int] = []
    rare: list[int] = []
    worker.every(0.01, lambda: frequent.append(1), "frequent")
    worker.every(60, lambda: rare.append(1), "rare")
    worker.ensure()
    assert becomes_true(lambda: len(frequent) >= 5)
    assert len(rare) == 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_invalid_interval_is_refused(worker: Worker, seconds: float) -> None:
    """The message names the value and what to use."""
    with pytest.raises(ValueError, match="use a number above 0"):
        worker.every(seconds, lambda: None, "wrong")


def test_waking_runs_a_job_at_once(worker: Worker) -> None:
    """A job that is woken does not wait for its interval; others do."""
    first: list[int] = []
    second: list[int] = []
    job = worker.every(60, lambda: first.append(1), "first")
    worker.every(60, lambda: second.append(1), "second")
    worker.ensure()
    assert becomes_true(lambda: first and second)
    job.wake()
    assert becomes_true(lambda: len(first) == 2)
    assert len(second) == 1


def test_waking_a_job_that_runs_makes_it_run_again(worker: Worker) -> None:
    """The reason to wake it may have come too late for the current run."""
    runs: list[float] = []

    def run() -> None:
        runs.append(time.monotonic())
        if len(runs) == 1:
            job.wake()

    job = worker.every(60, run, "woken by itself")
    worker.ensure()
    assert becomes_true(lambda: len(runs) == 2)


def test_a_failing_job_is_tried_again_ever_later_and_the_others_go_on(
    worker: Worker, capfd: pytest.CaptureFixture[str]
) -> None:
    """The failure is reported on stderr and in the health, until the job succeeds again."""
    failing = True
    attempts: list[float] = []
    others: list[int] = []

    def fail() -> None:
        attempts.append(time.monotonic())
        if failing:
            raise OSError("disk full")

    worker.every(0.01, fail, "drain of a full disk")
    worker.every(0.01, lambda: others.append(1), "other")
    worker.ensure()
    assert becomes_true(lambda: len(attempts) >= 4)
    pauses = [later - earlier for earlier, later in pairwise(attempts[:4])]
    assert pauses[-1] > 0.05
    assert becomes_true(lambda: len(others) > 4)
    part = part_of(worker, " jobs")
    assert part.state == "degraded"
    assert "drain of a full disk failed" in part.detail
    assert "OSError: disk full" in part.detail
    failing = False
    assert becomes_true(lambda: part_of(worker, " jobs").state == "healthy")
    assert capfd.readouterr().err.count("drain of a full disk failed") <= 1


@pytest.mark.usefixtures("untraced")
def test_a_thread_that_died_is_started_again_by_the_next_hook(worker: Worker) -> None:
    """A job that ends its thread is detected; `ensure` starts another thread."""
    runs: list[int] = []
    worker.every(0.01, lambda: runs.append(1), "count")
    worker.ensure()
    assert becomes_true(lambda: runs)
    kill_thread(worker.name)
    assert becomes_true(lambda: not worker.is_alive)
    assert becomes_true(lambda: part_of(worker).state == "failed")
    died = len(runs)

    def came_back() -> bool:
        worker.ensure()
        return len(runs) > died

    assert becomes_true(came_back)
    part = part_of(worker)
    assert part.state == "healthy"
    assert "started again after 1 failures" in part.detail
    assert len(threads_named(worker.name)) == 1


def test_a_failed_thread_start_is_tried_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no thread can be started, nothing is raised, and a later `ensure` succeeds."""
    refusals: list[int] = []
    start = _thread.start_new_thread

    def refuse(function: Callable[..., object], args: tuple[object, ...]) -> int:
        if worker.name in args and len(refusals) < 2:
            refusals.append(1)
            raise RuntimeError("can't start new thread")
        return start(function, args)

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    worker.ensure()
    assert not worker.is_alive
    part = part_of(worker)
    assert part.state == "failed"
    assert "can't start new thread" in part.detail

    def came_up() -> bool:
        worker.ensure()
        return worker.is_alive

    assert becomes_true(came_up)


@pytest.mark.usefixtures("untraced")
def test_a_thread_that_dies_again_and_again_waits_longer(worker: Worker) -> None:
    """The pause before the next start doubles."""
    pauses: list[float] = []
    for _ in range(3):
        assert becomes_true(worker.ensure)
        assert becomes_true(lambda: threads_named(worker.name))
        begin = time.monotonic()
        kill_thread(worker.name)
        worker.notify()  # it dies when it wakes
        assert becomes_true(lambda: not worker.is_alive)
        assert becomes_true(worker.ensure)
        pauses.append(time.monotonic() - begin)
    assert all(pause > least for pause, least in zip(pauses, (0.05, 0.15, 0.35), strict=True))


@pytest.mark.usefixtures("untraced")
def test_workers_of_one_name_do_not_affect_each_other(worker: Worker) -> None:
    """The end of one neither stops the other nor keeps it from being started again."""
    runs: list[int] = []
    twin = Worker(worker.name)
    assert twin.ensure()
    worker.every(0.01, lambda: runs.append(1), "count")
    assert worker.ensure()
    assert twin.stop(10)
    assert becomes_true(lambda: len(threads_named(worker.name)) == 1 and runs)
    kill_thread(worker.name)
    assert becomes_true(lambda: not worker.is_alive)
    died = len(runs)
    assert becomes_true(worker.ensure)
    assert becomes_true(lambda: len(runs) > died)


def test_a_stopped_worker_is_no_part_of_the_health(worker: Worker) -> None:
    """Its thread was ended on purpose, so it has no state."""
    assert worker.ensure()
    assert part_of(worker).state == "healthy"
    assert worker.stop(10)
    assert health().part(worker.name) is None


def test_a_cancelled_job_runs_no_more(worker: Worker) -> None:
    """After `cancel` a job is not run again; `cancel` is idempotent."""
    runs: list[int] = []
    others: list[int] = []
    job = worker.every(0.005, lambda: runs.append(1), "count")
    worker.every(0.005, lambda: others.append(1), "other")
    worker.ensure()
    assert becomes_true(lambda: runs)
    job.cancel()
    job.cancel()
    others.clear()
    assert becomes_true(lambda: len(others) > 1)
    stood_at = len(runs)
    others.clear()
    assert becomes_true(lambda: len(others) > 3)
    assert len(runs) == stood_at


def test_a_job_does_not_keep_its_object_alive(worker: Worker) -> None:
    """A bound method is removed from the list of jobs when its object is gone."""

    class Part:
        runs = 0

        def run(self) -> None:
            type(self).runs += 1

    part = Part()
    worker.every(0.005, part.run, "part")
    worker.ensure()
    assert becomes_true(lambda: Part.runs)
    reference = weakref.ref(part)
    del part
    assert becomes_true(lambda: reference() is None)
    assert becomes_true(lambda: part_of(worker, " jobs").detail == "0 jobs")


def test_stopping_ends_the_thread_and_a_new_job_may_start_another(worker: Worker) -> None:
    """After `stop` a call of `ensure` starts no thread, until a job is added."""
    runs: list[int] = []
    job = worker.every(0.005, lambda: runs.append(1), "count")
    worker.ensure()
    assert becomes_true(lambda: runs)
    assert worker.stop(10)
    assert becomes_true(lambda: not threads_named(worker.name))
    worker.ensure()
    assert not worker.is_alive
    job.cancel()
    runs.clear()
    worker.every(0.005, lambda: runs.append(1), "count again")
    worker.ensure()
    assert becomes_true(lambda: runs)


def test_stopping_waits_no_longer_than_its_timeout(worker: Worker) -> None:
    """A job that hangs does not block `stop`."""
    release = threading.Event()
    entered = threading.Event()

    def hang() -> None:
        entered.set()
        release.wait()

    worker.every(60, hang, "hang")
    worker.ensure()
    assert entered.wait(10)
    begin = time.monotonic()
    assert not worker.stop(0.05)
    assert time.monotonic() - begin < 5
    release.set()


def test_a_job_may_stop_its_own_worker(worker: Worker) -> None:
    """A stop from a job does not wait for that job."""
    answers: list[bool] = []
    worker.every(60, lambda: answers.append(worker.stop(10)), "stop")
    begin = time.monotonic()
    worker.ensure()
    assert becomes_true(lambda: not worker.is_alive)
    assert answers == [False]
    assert time.monotonic() - begin < 5


def test_a_dropped_worker_ends() -> None:
    """A worker without references is collected while its thread sleeps, and the thread ends."""
    dropped = Worker("test-dropped")
    dropped.ensure()
    reference = weakref.ref(dropped)
    del dropped
    gc.collect()
    assert becomes_true(lambda: reference() is None)
    assert becomes_true(lambda: not threads_named("test-dropped"))


def test_a_job_that_runs_for_long_shows_in_the_health(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The health names a job that hangs, for example on a blocked disk."""
    monkeypatch.setattr("otel_ext.runtime.worker._LONG_JOB", 0.01)
    release = threading.Event()
    worker.every(60, release.wait, "drain")
    worker.ensure()
    assert becomes_true(lambda: "drain has been running for" in part_of(worker, " jobs").detail)
    release.set()
    assert becomes_true(lambda: "drain" not in part_of(worker, " jobs").detail)


def test_a_call_that_runs_for_long_shows_in_the_health(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a flush whose destination hangs; the exit does not wait for it."""
    monkeypatch.setattr("otel_ext.runtime.worker._LONG_JOB", 0.01)
    monkeypatch.setattr("otel_ext.runtime.isolated._HANGING_SECONDS", 0.01)
    release = threading.Event()
    hanging = worker.submit(release.wait, 30)
    assert becomes_true(lambda: "flush has been running for" in part_of(worker, " jobs").detail)
    assert not worker._state.stop()  # noqa: SLF001 - what the exit handler calls
    release.set()
    assert hanging.wait(30)


def test_there_is_one_shared_worker() -> None:
    """All threads get the same worker, even at the same moment."""
    found: list[Worker] = []
    threads = [threading.Thread(target=lambda: found.append(shared_worker())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one is shared_worker() for one in found)


@pytest.mark.parametrize("ending", ["pass", "import os; os._exit(0)", "raise SystemExit(0)"])
def test_the_worker_never_blocks_the_end_of_the_program(ending: str) -> None:
    """A program whose worker runs a job exits at once and prints nothing."""
    program = (
        "import time\n"
        "from otel_ext.runtime.worker import shared_worker\n"
        "worker = shared_worker()\n"
        "worker.every(0.001, lambda: time.sleep(30), 'hang')\n"
        "worker.every(0.001, lambda: None, 'quick')\n"
        "worker.ensure()\n"
        "time.sleep(0.05)\n"
        f"{ending}\n"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=25,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begin < 20


def test_the_shared_worker_has_the_name_of_this_package() -> None:
    """A list of the program's threads shows which package it belongs to."""
    assert WORKER_NAME == "otel-ext-worker"
