"""A supervisor of asyncio tasks, inside a running event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_ext.errors import ConfigError
from otel_ext.services import StopSignal, Supervisor
from otel_ext.services.supervision import SupervisorFailedError
from tests.context.tracing import tracing
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.services import ChildContext

SOON = 30.0


async def sleeps(context: ChildContext) -> None:
    """Wait for ever, without a look at the signal."""
    context.ready()
    await asyncio.Event().wait()


async def until(condition: Callable[[], object]) -> None:
    """Wait in a task until the condition is true."""
    await asyncio.wait_for(_until(condition), SOON)


async def _until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - it is of other threads
        await asyncio.sleep(0.001)


def test_tasks_and_threads_start_and_stop_in_order() -> None:
    """A task that looks at the signal ends itself; one that does not is cancelled."""
    words: list[str] = []

    async def asks(context: ChildContext) -> None:
        words.append(f"+asks {threading.current_thread() is threading.main_thread()}")
        context.ready()
        await context.stopping.wait_async()
        await asyncio.sleep(0)
        words.append("-asks")

    async def cancelled(context: ChildContext) -> None:
        words.append("+cancelled")
        context.ready()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            words.append("-cancelled")

    def thread(context: ChildContext) -> None:
        words.append(f"+thread {threading.current_thread() is threading.main_thread()}")
        context.ready()
        context.stopping.wait()
        words.append("-thread")

    async def main() -> None:
        inner = Supervisor("inner")
        inner.add("asks", asks, ready=SOON)
        outer = Supervisor("outer")
        outer.add("pool", inner)
        outer.add("thread", thread, ready=SOON)
        outer.add("cancelled", cancelled, ready=SOON)
        for _ in range(2):
            async with outer as found:
                assert found.state == "running"
            assert outer.state == "stopped"
            assert [child.error for child in outer.children()] == ["", "", ""]
        assert await outer.stop_async()

    asyncio.run(main())
    once = ["+asks True", "+thread False", "+cancelled", "-cancelled", "-thread", "-asks"]
    assert words == once * 2


def test_a_task_that_fails_starts_again_with_a_linked_span() -> None:
    """Also one that leaves by SystemExit, or is cancelled by the program."""

    async def child(context: ChildContext) -> None:
        if context.life == 1:
            raise ValueError("no")
        if context.life == 2:
            raise SystemExit(3)
        if context.life == 3:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        context.ready()
        await context.stopping.wait_async()

    async def main() -> None:
        supervisor = Supervisor("tasks", initial_interval=0.001)
        supervisor.add("child", child, ready=SOON)
        async with supervisor:
            (status,) = supervisor.children()
            assert (status.life, status.error) == (4, "CancelledError")

    with tracing(ALWAYS_ON) as traced:
        asyncio.run(main())
    lives = [span for span in traced.spans if span.name == "child"]
    assert [span.status.description for span in lives] == [
        "ValueError: no",
        "SystemExit: 3",
        None,
        None,
    ]
    linked = [[link.context for link in span.links] for span in lives]
    assert linked == [[], *([span.context] for span in lives[:3])]


def test_an_interrupt_of_the_program_passes_through() -> None:
    """Ctrl-C is for the program, whichever task runs at that moment."""
    supervisor = Supervisor("interrupted", max_restarts=1, initial_interval=0.001)

    async def child(_: ChildContext) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        supervisor.add("child", child)
        async with supervisor:
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert supervisor.wait(SOON)


def test_a_start_that_is_cancelled_leaves_no_child_behind() -> None:
    """The block has not begun, so it cannot end; another start is refused, and stops nothing."""
    supervisor = Supervisor("cancelled")
    lives: list[str] = []

    async def never_ready(context: ChildContext) -> None:
        lives.append("+")
        await context.stopping.wait_async()
        lives.append("-")

    async def enter() -> None:
        async with supervisor:
            pytest.fail("it is never ready")

    async def main() -> None:
        supervisor.add("child", never_ready, ready=SOON)
        entering = asyncio.create_task(enter())
        await until(lambda: lives)
        with pytest.raises(ConfigError, match="is starting already"):
            await enter()
        assert lives == ["+"]
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await until(lambda: supervisor.state == "stopped")

    asyncio.run(main())
    assert lives == ["+", "-"]


def test_a_task_that_ignores_the_signal_is_cancelled_and_then_left_behind() -> None:
    """It has its own time, and a second after it is cancelled."""
    cancelled: list[str] = []

    async def slow(context: ChildContext) -> None:
        try:
            await context.stopping.wait_async()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("slow")
            raise

    async def stubborn(_: ChildContext, release: asyncio.Event) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled.append("stubborn")

    async def main() -> None:
        supervisor = Supervisor("slow", stop_timeout=0.01)
        supervisor.add("slow", slow)
        await supervisor.start_async()
        assert await supervisor.stop_async()
        assert cancelled == ["slow"]
        release = asyncio.Event()
        supervisor = Supervisor("stubborn", stop_timeout=0.01)
        supervisor.add("stubborn", stubborn, args=[release])
        await supervisor.start_async()
        await until(lambda: supervisor.children()[0].state == "running")
        assert not await supervisor.stop_async(0.2)
        assert cancelled == ["slow", "stubborn", "stubborn"]
        release.set()
        wait = asyncio.get_running_loop().time() + SOON
        while not await supervisor.stop_async():
            assert asyncio.get_running_loop().time() < wait
            await asyncio.sleep(0.001)

    asyncio.run(main())


def test_a_child_may_stop_its_supervisor() -> None:
    """The call returns at once, and then that task is cancelled as the others."""
    answers: list[bool] = []

    async def child(_: ChildContext, supervisor: Supervisor) -> None:
        answers.append(await supervisor.stop_async())
        await asyncio.Event().wait()

    async def main() -> None:
        supervisor = Supervisor("inside")
        supervisor.add("sleeps", sleeps, ready=SOON)
        supervisor.add("child", child, args=[supervisor])
        await supervisor.start_async()
        await until(lambda: supervisor.state == "stopped")

    asyncio.run(main())
    assert answers == [False]


def test_a_loop_that_is_closed_ends_its_children() -> None:
    """A supervisor that the program forgot to stop neither hangs nor tries for ever."""
    supervisor = Supervisor("forgotten", max_restarts=2, initial_interval=0.001)

    async def main() -> None:
        supervisor.add("child", sleeps, ready=SOON)
        assert await supervisor.start_async()

    asyncio.run(main())
    wait_until(lambda: supervisor.state == "failed", "its restarts are refused")
    assert "Event loop is closed" in supervisor.error
    assert supervisor.stop()


def test_a_loop_that_was_closed_without_its_tasks_can_still_be_stopped() -> None:
    """Each child then counts as ended."""
    loop = asyncio.new_event_loop()
    supervisor = Supervisor("closed", stop_timeout=0.01)
    supervisor.add("child", sleeps, ready=SOON)
    assert loop.run_until_complete(supervisor.start_async())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    assert supervisor.stop()
    for task in tasks:  # else the collector complains of it
        coroutine: Any = task.get_coro()
        coroutine.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001


def test_a_signal_wakes_tasks_and_threads() -> None:
    """A wait that ends before leaves nothing behind."""

    async def main() -> None:
        signal = StopSignal()
        assert not await signal.wait_async(0.001)
        waiting = [asyncio.create_task(signal.wait_async()) for _ in range(3)]
        gone = asyncio.create_task(signal.wait_async())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        thread = threading.Thread(target=signal.set)
        thread.start()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await signal.wait_async()
        thread.join()

    asyncio.run(main())


def test_a_task_that_cannot_be_made_ends_its_life() -> None:
    """The program's task factory raises: the child starts again, and fails at last."""

    async def main() -> None:
        supervisor = Supervisor("no-tasks", max_restarts=2, initial_interval=0.001)
        supervisor.add("child", sleeps)
        loop = asyncio.get_running_loop()

        def refuse(_: object, coroutine: Any, **__: object) -> Any:  # noqa: ANN401 - asyncio's
            if "TaskLife" in coroutine.__qualname__:
                raise RuntimeError("no task")
            return asyncio.Task(coroutine, loop=loop)

        loop.set_task_factory(refuse)
        assert not await supervisor.start_async(SOON)
        assert supervisor.state == "failed"
        (child,) = supervisor.children()
        assert (child.life, child.error) == (3, "it cannot start: RuntimeError: no task")
        with pytest.raises(SupervisorFailedError, match="no task"):
            async with supervisor:
                pytest.fail("the block runs")

    asyncio.run(main())
