"""Handing the context over to jobs of executors, threads, processes, tasks and greenlets."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, get_current
from opentelemetry.trace import INVALID_SPAN
from structlog.contextvars import bind_contextvars, clear_contextvars

from otel_ext.context import (
    carried,
    current_span,
    error_context,
    start_span,
    traced_executor,
    with_context,
    with_span,
)
from otel_ext.errors import ConfigError
from tests.global_provider import recording_globally
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_ext.testing import RecordCapture

P = ParamSpec("P")
R = TypeVar("R")
LIMIT = 30.0


@pytest.fixture(autouse=True)
def records() -> Iterator[RecordCapture]:
    """Record the global provider's spans; start and end without error context."""
    clear_contextvars()
    with recording_globally() as capture:
        yield capture
    clear_contextvars()


class Inline(Executor):
    """An executor of the program's own, without shared memory as far as is known."""

    def __init__(self) -> None:
        self.jobs: list[object] = []
        self.shutdowns: list[tuple[bool, bool]] = []

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run the job at once."""
        self.jobs.append(fn)
        future: Future[R] = Future()
        future.set_result(fn(*args, **kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT002 - as its base
        """Note the arguments."""
        self.shutdowns.append((wait, cancel_futures))


def child(name: str) -> int:
    """Make a span called `name`; return the id of the thread."""
    with with_span(name):
        return threading.get_ident()


def leave_everything() -> None:
    """Set fields, baggage, a span and a variable of structlog, and leave them all."""
    error_context.set(left="set")
    bind_contextvars(left_too="bound")
    attach(baggage.set_baggage("left", "baggage"))
    start_span("left open")


def seen() -> tuple[dict[str, object], dict[str, object], bool]:
    """Return the fields and the baggage that hold here, and whether a span is current."""
    fields = error_context.get()
    return fields, dict(baggage.get_all()), current_span() is not INVALID_SPAN


def parents(records: RecordCapture, *names: str) -> set[str]:
    """Return the ids of the parents of these spans."""
    return {record.parent_span_id for name in names for record in records.of(name)}


def test_jobs_of_threads_join_the_span_of_their_submitter(records: RecordCapture) -> None:
    """A job of a thread pool has the span that was current when it was submitted."""
    with traced_executor(ThreadPoolExecutor(2)) as executor:
        with with_span("first"):
            one = executor.submit(child, "one")
        with with_span("second"):
            two = executor.submit(child, name="two")
        assert threading.get_ident() not in {one.result(LIMIT), two.result(LIMIT)}
    assert parents(records, "one") == {records.of("first")[0].span_id}
    assert parents(records, "two") == {records.of("second")[0].span_id}


@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(2), Inline])
def test_map_keeps_the_order_and_the_span(
    make: Callable[[], Executor], records: RecordCapture
) -> None:
    """The jobs of `map` are children of the caller's span; the results have their order."""
    names = [f"job {number}" for number in range(20)]

    def run(name: str, size: int) -> tuple[int, str, int]:
        return child(name), name, size

    with traced_executor(make()) as executor, with_span("all"):
        found = list(executor.map(run, names, range(20)))
    assert [(name, size) for _, name, size in found] == list(zip(names, range(20), strict=True))
    assert parents(records, *names) == {records.of("all")[0].span_id}


@pytest.mark.since(3, 14)
def test_map_takes_the_options_of_a_newer_python() -> None:
    """`buffersize` reaches the executor."""
    with traced_executor(ThreadPoolExecutor(2)) as executor:
        assert list(executor.map(abs, [-1, -2, -3], buffersize=1)) == [1, 2, 3]


@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(1), Inline])
def test_a_job_leaves_nothing_for_the_next_one(make: Callable[[], Executor]) -> None:
    """What a job sets, binds and leaves open is unknown to the next job and to the submitter."""
    before = get_current()
    with traced_executor(make()) as executor:
        with with_span("submitter"), with_context(order=7):
            executor.submit(leave_everything).result(LIMIT)
            assert seen() == ({"order": 7}, {}, True)
            assert executor.submit(seen).result(LIMIT) == ({"order": 7}, {}, True)
        assert executor.submit(seen).result(LIMIT) == ({}, {}, False)
    assert get_current() is before
    assert seen() == ({}, {}, False)


def test_many_jobs_of_many_requests_do_not_mix() -> None:
    """Of 400 jobs on 4 threads each has the fields and the trace of its own request."""

    def job() -> tuple[object, int]:
        found = (error_context.get().get("request"), current_span().get_span_context().trace_id)
        leave_everything()
        return found

    expected: list[tuple[object, int]] = []
    futures: list[Future[tuple[object, int]]] = []
    with traced_executor(ThreadPoolExecutor(4)) as executor:
        for request in range(100):
            with with_span("request") as span, with_context(request=request):
                futures += [executor.submit(job) for _ in range(4)]
                expected += [(request, span.get_span_context().trace_id)] * 4
        assert [future.result(LIMIT) for future in futures] == expected


def test_exceptions_of_jobs_are_in_their_futures() -> None:
    """The exception of a job is the result of its future, with the submitter's fields."""
    with traced_executor(ThreadPoolExecutor(1)) as executor, with_context(order=7):
        error = executor.submit(with_span("bad")("1".index), "x").exception(LIMIT)
    assert isinstance(error, ValueError)
    assert getattr(error, "__notes__", None) == ["error context: order=7"]


def test_shutdown_cancels_what_waits() -> None:
    """With `cancel_futures` jobs that wait are cancelled; later ones are refused."""
    release, begun = threading.Event(), threading.Event()

    def first() -> bool:
        begun.set()
        return release.wait(LIMIT)

    executor = traced_executor(ThreadPoolExecutor(1))
    running = executor.submit(first)
    waiting = executor.submit(child, "never")
    assert begun.wait(LIMIT)
    executor.shutdown(wait=False, cancel_futures=True)
    release.set()
    assert running.result(LIMIT) is True
    assert waiting.cancelled()
    with pytest.raises(CancelledError):
        waiting.result(LIMIT)
    with pytest.raises(RuntimeError):
        executor.submit(abs, 1)


def test_the_block_shuts_the_wrapped_executor_down() -> None:
    """The arguments of `shutdown` reach the executor; the end of the block calls it."""
    wrapped = Inline()
    with traced_executor(wrapped) as executor:
        executor.shutdown(wait=False, cancel_futures=True)
    assert wrapped.shutdowns == [(False, True), (True, False)]


def test_other_executors_get_a_job_that_carries() -> None:
    """An executor that may be of other processes gets one job that can be pickled."""
    wrapped = Inline()
    assert traced_executor(wrapped).submit(abs, -3).result() == 3
    assert [type(job) for job in wrapped.jobs] == [carried]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: traced_executor(4), "traced_executor takes an executor, not 4"),  # type: ignore[arg-type]
        (lambda: carried("abs"), "carried cannot call 'abs'"),  # type: ignore[arg-type]
    ],
    ids=["executor", "function"],
)
def test_wrong_arguments(make: Callable[[], object], message: str) -> None:
    """What is not an executor, or not a function, is refused with a way out."""
    with pytest.raises(ConfigError, match=f"{message}. Pass "):
        make()


def test_a_thread_with_a_carried_target_joins_the_trace(records: RecordCapture) -> None:
    """A thread's target runs in the context where `carried` was called, not where it started."""
    with with_span("outer"), with_context(order=7):
        target = carried(lambda: found.append((error_context.get(), child("inner"))))
    found: list[tuple[dict[str, object], int]] = []
    on_thread(target)
    assert [fields for fields, _ in found] == [{"order": 7}]
    assert parents(records, "inner") == {records.of("outer")[0].span_id}


def test_a_carried_function_keeps_its_name_and_can_run_often() -> None:
    """It has the function's name and text, and each call starts from the same context."""
    with with_context(order=7):
        function = carried(seen)
    assert (function.__name__, function.__doc__) == (seen.__name__, seen.__doc__)  # type: ignore[attr-defined]
    with with_context(order=8):
        assert [function()[0], function()[0], error_context.get()["order"]] == [
            {"order": 7},
            {"order": 7},
            8,
        ]


def test_a_carried_coroutine_function_has_the_context_until_its_end() -> None:
    """The context is there after each `await`, and not in the code that awaits it."""

    async def work() -> list[dict[str, object]]:
        found = [error_context.get()]
        await asyncio.sleep(0)
        return [*found, error_context.get()]

    with with_context(order=7):
        function = carried(work)

    async def main() -> list[dict[str, object]]:
        with with_context(order=8):
            return [*await function(), error_context.get()]

    assert asyncio.run(main()) == [{"order": 7}, {"order": 7}, {"order": 8}]


def test_a_task_may_outlive_its_parent(records: RecordCapture) -> None:
    """A task whose parent has ended keeps its context, and its spans are in the parent's trace."""

    async def late(release: asyncio.Event) -> dict[str, object]:
        await release.wait()
        with with_span("late"):
            return error_context.get()

    async def main() -> dict[str, object]:
        release = asyncio.Event()
        with with_span("parent"), with_context(order=7):
            task = asyncio.create_task(late(release))
            await asyncio.sleep(0)
        assert seen() == ({}, {}, False)
        release.set()
        return await task

    assert asyncio.run(main()) == {"order": 7}
    assert parents(records, "late") == {records.of("parent")[0].span_id}
    assert records.of("parent")[1].seq < records.of("late")[0].seq


def test_run_in_executor_takes_it(records: RecordCapture) -> None:
    """An event loop runs jobs in the executor, with the context of the task."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with with_span("task"):
            await loop.run_in_executor(executor, child, "job")

    executor = traced_executor(ThreadPoolExecutor(1))
    with executor:
        asyncio.run(main())
    assert parents(records, "job") == {records.of("task")[0].span_id}


def test_jobs_that_submit_jobs(records: RecordCapture) -> None:
    """A job of a job is a child of the job's own span."""
    with traced_executor(ThreadPoolExecutor(2)) as executor:

        def outer() -> None:
            with with_span("job"):
                executor.submit(child, "job of job").result(LIMIT)

        with with_span("root"):
            executor.submit(outer).result(LIMIT)
    assert parents(records, "job") == {records.of("root")[0].span_id}
    assert parents(records, "job of job") == {records.of("job")[0].span_id}
