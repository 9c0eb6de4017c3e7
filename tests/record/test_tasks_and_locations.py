"""The running task and a log's call site: the compiled functions match the Python ones."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.inflight.table import open_spans
from otel_ext.record.capture import (
    capture_start,
    capture_start_python,
    current_task,
    here,
    here_python,
)
from otel_ext.record.model import UNKNOWN_CALL_SITE, Process, TaskInfo
from tests.processors.spans import Recorder, provider_with
from tests.programs import in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.trace import Tracer

PROCESS = Process("b00t-1-2-cafe0001")
NAMES = (
    "worker",
    "Task-7",
    "",
    'a "quoted" one',
    "tab\t",
    "Aufgabe ß",
    "任务",
    "x" * 500,
    "\udc80",
)


@pytest.fixture
def tracer() -> Tracer:
    """Return a tracer without span processors."""
    return TracerProvider(shutdown_on_exit=False).get_tracer("t")


def task_of(tracer: Tracer) -> TaskInfo | None:
    """Return the task in a record; compiled and Python capture must agree."""
    span: Any = tracer.start_span("work")
    captured = capture_start(span, PROCESS, 1).task
    expected = capture_start_python(span, PROCESS, 1).task
    assert captured == expected == current_task()
    if captured is not None and expected is not None:
        assert (captured.id, captured.name) == (expected.id, expected.name)
    span.end()
    return captured


async def check_task(tracer: Tracer) -> TaskInfo:
    """Check the running task, twice in a row and again after a pause."""
    task = asyncio.current_task()
    assert task is not None
    expected = TaskInfo(id(task), task.get_name())
    for _ in range(2):
        assert task_of(tracer) == expected
        assert task_of(tracer) == expected
        await asyncio.sleep(0)
    return expected


def test_names_of_all_kinds(tracer: Tracer) -> None:
    """Plain names, names that need escapes, and long ones."""

    async def main() -> None:
        await asyncio.gather(
            *(asyncio.create_task(check_task(tracer), name=name) for name in NAMES)
        )

    asyncio.run(main())
    assert task_of(tracer) is None


def test_a_task_that_is_renamed(tracer: Tracer) -> None:
    """A new name of a task is used at once, not the one captured before."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        for name in ("first", "second", "first"):
            task.set_name(name)
            assert (await check_task(tracer)).name == name

    asyncio.run(main())


def test_tasks_at_the_addresses_of_earlier_ones(tracer: Tracer) -> None:
    """Hundreds of short tasks, many at addresses that were used before."""

    async def main() -> set[int]:
        return {(await asyncio.create_task(check_task(tracer))).id for _ in range(300)}

    assert len(asyncio.run(main())) < 300


def test_callbacks_and_executors_have_no_task(tracer: Tracer) -> None:
    """Outside a loop, and inside it between its tasks, there is no task."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        loop.call_soon(lambda: called.set_result(task_of(tracer)))
        assert await called is None
        assert await loop.run_in_executor(None, task_of, tracer) is None
        assert await asyncio.to_thread(task_of, tracer) is None
        await check_task(tracer)

    asyncio.run(main())


def test_loops_in_several_threads(tracer: Tracer) -> None:
    """Each thread gets its own loop's task, or none, while others run theirs."""
    turn = threading.Barrier(3)
    wrong: list[BaseException] = []

    async def main() -> None:
        for _ in range(20):
            turn.wait(10)  # blocks the loop: all tasks run at the same time
            await check_task(tracer)

    def work(*, in_loop: bool) -> None:
        try:
            if in_loop:
                asyncio.run(main())
                return
            for _ in range(20):
                turn.wait(10)
                assert task_of(tracer) is None
        except BaseException as error:
            wrong.append(error)
            turn.abort()
            raise

    threads = [
        threading.Thread(target=work, kwargs={"in_loop": in_loop})
        for in_loop in (True, True, False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class _Foreign(asyncio.SelectorEventLoop):
    """A loop that hides its thread."""

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401
        if name == "_thread_id" and os.environ.get("HIDE"):
            raise RuntimeError("hidden")
        return super().__getattribute__(name)


def test_a_loop_of_another_kind(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that hides its attributes; its current task is captured all the same."""
    loop = _Foreign()

    async def main() -> None:
        monkeypatch.setenv("HIDE", "1")
        try:
            await check_task(tracer)
        finally:
            monkeypatch.delenv("HIDE")

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="asyncio itself does not know them")
def test_tasks_written_in_python(tracer: Tracer) -> None:
    """A task factory may return tasks that are not asyncio's compiled ones."""
    made: Any = vars(asyncio.tasks)["_PyTask"]

    def make(loop: Any, coro: Any, **options: Any) -> Any:  # noqa: ANN401
        return made(coro, loop=loop, **options)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(make)
        task = asyncio.create_task(check_task(tracer), name="in Python")
        assert type(task) is made
        await task

    asyncio.run(main())


@pytest.mark.forks
def test_a_child_that_was_forked_in_a_task(tracer: Tracer) -> None:
    """The child gets asyncio's current task, in its inherited loop and in a second one."""

    def child() -> bool:
        task_of(tracer)
        thread = threading.Thread(target=lambda: asyncio.run(check(tracer)))
        thread.start()
        thread.join(20)
        return bool(found)

    async def main() -> str:
        await check_task(tracer)
        return in_child(child)

    found: list[TaskInfo] = []

    async def check(tracer: Tracer) -> None:
        found.append(await check_task(tracer))

    assert asyncio.run(main()) == "True"


def test_open_spans_of_a_task_are_its_own() -> None:
    """The compiled hooks register a task's span in the table as owned by the task."""
    tracer = provider_with(Recorder()).get_tracer("t")

    async def hold(release: asyncio.Event) -> None:
        with tracer.start_as_current_span("held"):
            await release.wait()

    async def main() -> None:
        release = asyncio.Event()
        task = asyncio.create_task(hold(release), name="holder")
        await asyncio.sleep(0)
        (held,) = [one for one in open_spans() if one.name == "held"]
        assert held.task == TaskInfo(id(task), "holder")
        assert held.owner_alive
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not [one for one in open_spans() if one.name == "held"]

    asyncio.run(main())


def deep(frames: int, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Call `ask` from `frames` frames further in."""
    return ask() if frames == 0 else deep(frames - 1, ask)


@pytest.mark.parametrize("depth", range(6))
def test_depth_is_counted_from_the_same_frame(depth: int) -> None:
    """The compiled function skips as many frames as the Python one, cached or not."""

    def ask(one: Callable[[int], Any]) -> Any:  # noqa: ANN401
        return deep(4, lambda: one(depth))

    for _ in range(3):
        # One call for both, since a call site is an instruction.
        expected, captured = (ask(one) for one in (here_python, here))
        assert captured[0] == expected[0]
        assert captured[1:] == expected[1:]


def steps(one: Callable[[int], Any]) -> Iterator[Any]:
    """Yield from inside a generator."""
    yield one(1)


def test_call_sites_in_generators_and_without_user_code() -> None:
    """A generator has a call site; a stack without a frame of the user's does not."""
    assert next(steps(here)) == next(steps(here_python))
    with ThreadPoolExecutor(thread_name_prefix="same") as pool:
        found = [pool.submit(one, 1).result() for one in (here, here_python)]
    assert found[0] == found[1]
    assert found[0][0] is found[1][0] is UNKNOWN_CALL_SITE
    for one in (here, here_python):
        with pytest.raises(ValueError, match="call stack"):
            one(100_000)
        with pytest.raises(OverflowError):
            one(2**33)


@pytest.mark.parametrize("wrong", ["one", None, 1.5])
def test_a_depth_that_is_not_a_number_is_left_to_python(wrong: Any) -> None:  # noqa: ANN401
    """The Python function refuses what the compiled one cannot use."""
    with pytest.raises(TypeError):
        here(wrong)
