"""Owners of spans, and how soon their death is detected."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from otel_ext.inflight.owners import Owners, ThreadOwner
from otel_ext.inflight.table import open_spans
from otel_ext.runtime.counters import COUNTERS
from tests.figures import report_figures
from tests.inflight.tracking import Tracking
from tests.programs import becomes_true
from tests.threads import on_thread

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from tests.inflight.tracking import Clock


def test_the_end_of_a_thread_is_reported_at_once() -> None:
    """The owner of a thread that ended is in `gone` without any polling."""
    owners = Owners()
    kept: list[ThreadOwner] = []
    on_thread(lambda: kept.append(owners.of_thread()))
    assert becomes_true(lambda: owners.gone)
    assert owners.gone.popleft() is kept[0]
    assert becomes_true(lambda: not kept[0].is_alive())


def test_threads_without_open_spans_are_not_reported() -> None:
    """The owner of a thread whose spans have all ended is freed, and not in `gone`."""
    owners = Owners()
    for _ in range(50):
        on_thread(owners.of_thread)
    assert not owners.gone


def test_a_thread_has_one_owner() -> None:
    """All spans of a thread share its owner; another thread has another owner."""
    owners = Owners()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(owners.of_thread).result()
        assert other is pool.submit(owners.of_thread).result()
        assert other is not owners.of_thread()
        assert other.is_alive()


def test_a_thread_that_only_left_python_is_not_dead() -> None:
    """A thread of C code loses its Python state between calls, but the system still has it."""
    owners = Owners()
    kept: list[ThreadOwner] = []

    def adopt() -> None:
        owner = owners.of_thread()
        owner.native_id = main
        kept.append(owner)

    main = threading.main_thread().native_id or 0
    on_thread(adopt)
    assert becomes_true(lambda: owners.gone)
    assert kept[0].is_alive() is (sys.platform == "linux")


@pytest.mark.skipif(sys.platform != "linux", reason="pthread_create by ctypes")
def test_a_thread_of_c_code_is_an_owner_too(tracking: Tracking) -> None:
    """The end of a thread that Python did not make is detected."""
    libc = ctypes.CDLL(None)
    handle = ctypes.c_ulong()
    spans: list[Span] = []
    routine = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

    def body(_: int | None) -> int:
        spans.append(tracking.tracer.start_span("foreign"))
        return 0

    callback = routine(body)
    assert libc.pthread_create(ctypes.byref(handle), None, callback, None) == 0
    assert libc.pthread_join(handle, None) == 0
    (record,) = tracking.reap_until(1)
    assert (record.name, record.abandoned) == ("foreign", "owner-died")
    assert spans[0].is_recording()


def test_the_end_of_a_thread_is_detected_and_reported() -> None:
    """A span left open by a thread that ended gets an abandoned end with the cause."""
    tracking = Tracking(grace=0.2)
    spans: list[Span] = []

    def work() -> None:
        spans.append(tracking.tracer.start_span("left open", attributes={"a": 1}))

    on_thread(work, "short-lived")
    died = time.monotonic()
    (record,) = tracking.reap_until(1)
    took = time.monotonic() - died
    report_figures("death of a thread, 200 ms grace", reported_after=f"{took * 1e3:.0f} ms")
    assert (record.phase, record.abandoned) == ("end", "owner-died")
    assert record.thread is not None
    assert record.thread.name == "short-lived"
    assert record.time_ns >= record.start_ns > 0
    assert dict(record.attributes) == {"a": 1}
    (shown,) = (one for one in open_spans() if one.name == "left open")
    assert not shown.owner_alive
    assert spans[0].is_recording(), "the user's span is not touched"


def test_a_real_end_within_the_grace_leaves_no_abandoned_record(clock: Clock) -> None:
    """A span that another thread ends in time is not reported."""
    tracking = Tracking(grace=100)
    span = tracking.ended_by_thread("handed")
    tracking.reap_for(0.05)
    span.end()
    clock.advance(150)
    assert not tracking.reap_for(0.05)
    assert [end.name for end in tracking.ends] == ["handed"]


def test_a_real_end_after_the_report_is_recorded_with_its_start() -> None:
    """A late real end finds its start record, so that it wins where records are merged."""
    tracking = Tracking()
    span = tracking.ended_by_thread("late")
    (abandoned,) = tracking.reap_until(1)
    span.end()
    (end,) = tracking.ends
    assert end.key == abandoned.key
    assert end.abandoned is None
    assert end.call_site is abandoned.call_site
    assert len(tracking.table) == 0


def test_a_finished_task_that_is_still_referenced_is_found() -> None:
    """A task that is done but still referenced by the program counts as ended."""
    tracking = Tracking(grace=0.0)

    async def leave_open() -> object:
        return tracking.tracer.start_span("task's")

    async def main() -> tuple[asyncio.Task[object], float]:
        task = asyncio.create_task(leave_open(), name="forgetful")
        await task
        done = time.monotonic()
        tracking.reap_until(1)
        return task, time.monotonic() - done

    task, took = asyncio.run(main())
    (record,) = tracking.abandoned
    assert record.abandoned == "owner-died"
    assert record.task is not None
    assert record.task.name == "forgetful"
    report_figures("end of a task", reported_after=f"{took * 1e3:.1f} ms")
    assert task.done()


def test_a_task_that_is_gone_is_found_and_no_task_is_kept_alive() -> None:
    """A task that was freed with its span open is reported; only a weak reference was held."""
    tracking = Tracking(grace=0.0)
    spans: list[Span] = []

    async def leave_open() -> None:
        spans.append(tracking.tracer.start_span("freed task's"))

    async def main() -> None:
        await asyncio.create_task(leave_open())

    asyncio.run(main())
    gc.collect()
    (record,) = tracking.reap_until(1)
    assert record.abandoned == "owner-died"


def test_a_waiting_task_owns_its_span_for_as_long_as_it_waits() -> None:
    """A task that only waits is alive, and its span is not reported."""
    tracking = Tracking(grace=0.0)

    async def wait(event: asyncio.Event) -> None:
        with tracking.tracer.start_as_current_span("patient"):
            await event.wait()

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(wait(event))
        await asyncio.sleep(0.01)
        (shown,) = (one for one in open_spans() if one.name == "patient")
        assert shown.owner_alive
        assert shown.task is not None
        for _ in range(30):
            tracking.reaper.run()
            await asyncio.sleep(0.005)
        event.set()
        await task

    asyncio.run(main())
    assert not tracking.abandoned
    assert len(tracking.ends) == 1


def test_the_open_span_of_a_cancelled_task_is_abandoned() -> None:
    """A task that was cancelled with its span open is a dead owner."""
    tracking = Tracking(grace=0.0)
    spans: list[Span] = []

    async def hang() -> None:
        spans.append(tracking.tracer.start_span("cancelled"))
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(hang())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        tracking.reap_until(1)

    asyncio.run(main())
    assert [record.abandoned for record in tracking.abandoned] == ["owner-died"]


def test_many_short_tasks_and_threads_are_not_reported() -> None:
    """A thousand tasks and a hundred threads that end their spans cause no record."""
    before = COUNTERS.value("abandoned.owner-died")
    tracking = Tracking(grace=0.0)

    async def one() -> None:
        with tracking.tracer.start_as_current_span("fine"):
            await asyncio.sleep(0)

    async def main() -> None:
        for _ in range(10):
            await asyncio.gather(*(one() for _ in range(100)))
            tracking.reaper.run()

    asyncio.run(main())
    for _ in range(100):
        on_thread(lambda: tracking.tracer.start_span("fine").end())
    assert not tracking.reap_for(0.05)
    assert COUNTERS.value("abandoned.owner-died") == before
    assert len(tracking.ends) == 1_100
