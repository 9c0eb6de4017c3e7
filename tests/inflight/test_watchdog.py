"""Stalled spans: when they are found, their stacks, and how often they are reported."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

from otel_ext.inflight.stacks import MAX_FRAMES, stack_of_thread
from otel_ext.inflight.table import open_spans
from otel_ext.inflight.watchdog import Watchdog
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from tests.programs import becomes_true
from tests.record.test_own_code import LIBRARY, through
from tests.threads import on_thread

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from otel_ext.record.model import Record
    from tests.inflight.tracking import Clock, Tracking


def functions(record: Record) -> list[str]:
    """Return the names of the functions in a record's stack, without their classes."""
    stack = cast("list[dict[str, object]]", record.extra["stack"])
    return [str(frame["function"]).rpartition(".")[2] for frame in stack]


def watch(tracking: Tracking, **settings: object) -> tuple[Watchdog, list[Record]]:
    """Return a watchdog over the table, and the list that it appends to."""
    updates: list[Record] = []
    return Watchdog(tracking.table, updates.append, **settings), updates  # type: ignore[arg-type]


def hangs(thread: threading.Thread) -> bool:
    """Return whether a thread is in `wait_here`."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - its documented way
    return "wait_here" in "".join(traceback.format_stack(frame)) if frame else False


def wait_here(event: threading.Event) -> None:
    """Hang, in a function with a known name."""
    event.wait()


def test_a_span_beyond_its_threshold_is_reported_with_its_stack(
    tracking: Tracking, clock: Clock
) -> None:
    """The update contains the age and the stack of the hanging thread, innermost first."""
    watchdog, updates = watch(tracking, threshold=50)
    event = threading.Event()

    def work() -> None:
        with tracking.tracer.start_as_current_span("stuck", attributes={"a": 1}):
            wait_here(event)

    thread = threading.Thread(target=work)
    thread.start()
    assert becomes_true(lambda: hangs(thread))
    watchdog.run()
    assert not updates
    clock.advance(60)
    watchdog.run()
    assert [one.stalled for one in open_spans() if one.name == "stuck"] == [True]
    event.set()
    thread.join()
    update = updates[0]
    assert (update.phase, update.extra["stalled"]) == ("update", True)
    assert cast("int", update.extra["age_ns"]) >= 50_000_000_000
    names = functions(update)
    assert names.index("wait_here") < names.index("work")
    frames = cast("list[dict[str, object]]", update.extra["stack"])
    here = frames[names.index("wait_here")]
    assert str(here["file"]).endswith("test_watchdog.py")
    assert isinstance(here["line"], int)
    assert dict(update.attributes) == {"a": 1}
    back = decode_line(encode_line(update))
    assert back.extra["stalled"] is True
    watchdog.run()
    assert not tracking.table.stalled


def test_a_stalled_task_is_reported_with_what_it_awaits(tracking: Tracking, clock: Clock) -> None:
    """A waiting task's stack goes down to the innermost coroutine, not only to the outermost."""
    watchdog, updates = watch(tracking, threshold=50)

    async def innermost() -> None:
        await asyncio.sleep(60)

    async def middle() -> None:
        await innermost()

    async def outermost() -> None:
        with tracking.tracer.start_as_current_span("waiting"):
            await middle()

    async def main() -> None:
        task = asyncio.create_task(outermost())
        await asyncio.sleep(0)
        clock.advance(60)
        watchdog.run()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    names = functions(updates[0])
    assert names[-3:] == ["innermost", "middle", "outermost"]


def test_a_task_that_blocks_its_loop_is_reported_with_its_stack(
    tracking: Tracking, clock: Clock
) -> None:
    """The stack of a task that computes or blocks is that of the thread it runs on."""
    watchdog, updates = watch(tracking, threshold=50)
    event = threading.Event()

    async def block() -> None:
        with tracking.tracer.start_as_current_span("blocking"):
            wait_here(event)

    thread = threading.Thread(target=lambda: asyncio.run(block()))
    thread.start()
    assert becomes_true(lambda: hangs(thread))
    clock.advance(60)
    watchdog.run()
    event.set()
    thread.join()
    names = functions(updates[0])
    assert names.index("wait_here") < names.index("block")


def test_thresholds_go_by_the_pattern_of_the_name(tracking: Tracking, clock: Clock) -> None:
    """The first pattern that matches counts; 0 means never; else the default."""
    watchdog, updates = watch(
        tracking, threshold=10, thresholds={"job.nightly": 0, "job.*": 6_000.0, "db ?": 20}
    )
    assert watchdog.threshold_of("job.nightly") == float("inf")
    assert watchdog.threshold_of("job.hourly") == 6_000e9
    assert watchdog.threshold_of("db 1") == 20e9
    assert watchdog.threshold_of("db 10") == 10e9
    spans = [tracking.tracer.start_span(name) for name in ("job.nightly", "job.x", "db 1", "any")]
    clock.advance(30)
    watchdog.run()
    assert [update.name for update in updates] == ["db 1", "any"]
    del spans


def test_nothing_is_reported_when_the_threshold_is_0(tracking: Tracking, clock: Clock) -> None:
    """The watchdog can be switched off."""
    watchdog, updates = watch(tracking, threshold=0)
    span = tracking.tracer.start_span("slow")
    clock.advance(10_000)
    watchdog.run()
    assert not updates
    span.end()


def test_a_stall_is_reported_again_ever_less_often(tracking: Tracking, clock: Clock) -> None:
    """Updates come at the threshold, at twice that age, at four times, and so on."""
    watchdog, updates = watch(tracking, threshold=20)
    span = tracking.tracer.start_span("slow")
    for _ in range(100):
        clock.advance(5)
        watchdog.run()
    ages = [cast("int", update.extra["age_ns"]) for update in updates]
    assert len(ages) == 5
    assert all(later >= 2 * earlier for earlier, later in pairwise(ages))
    span.end()


def test_dump_reports_every_open_span(tracking: Tracking, clock: Clock) -> None:
    """A dump emits all open spans with their stacks; only stalled ones are marked stalled."""
    watchdog, updates = watch(tracking, threshold=20)
    old = tracking.tracer.start_span("old")
    clock.advance(30)
    watchdog.run()
    updates.clear()
    young = tracking.tracer.start_span("young")
    assert watchdog.dump() == 2
    assert [(one.name, one.extra.get("stalled", False)) for one in updates] == [
        ("old", True),
        ("young", False),
    ]
    for update in updates:
        assert functions(update)[0] == "test_dump_reports_every_open_span", "no frame of ours"
    old.end()
    young.end()


def test_only_the_innermost_frames_are_reported(tracking: Tracking) -> None:
    """The stack of a deep recursion has twenty frames."""
    watchdog, updates = watch(tracking)

    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            watchdog.dump()

    with tracking.tracer.start_as_current_span("deep"):
        deeper(100)
    assert functions(updates[0]) == ["deeper"] * MAX_FRAMES


def test_a_generator_based_awaitable_is_followed(tracking: Tracking) -> None:
    """The chain of awaits goes through generators as well."""
    watchdog, updates = watch(tracking)

    class Pause:
        def __await__(self) -> Generator[None, None, None]:
            yield from self.wait()

        def wait(self) -> Generator[None, None, None]:
            yield

    async def main() -> None:
        async def pausing() -> None:
            with tracking.tracer.start_as_current_span("pausing"):
                await Pause()

        task = asyncio.create_task(pausing())
        await asyncio.sleep(0)
        watchdog.dump()
        await task

    asyncio.run(main())
    assert functions(updates[0])[-3:] == ["wait", "__await__", "pausing"]


def test_a_dead_threads_stack_is_not_another_ones(tracking: Tracking) -> None:
    """Another thread may have the identifier of a dead one: the dead one's span has no stack."""
    watchdog, updates = watch(tracking)
    spans: list[object] = []
    for _ in range(2):
        on_thread(lambda: spans.append(tracking.tracer.start_span("gone")))
    event = threading.Event()
    other = threading.Thread(target=wait_here, args=(event,))
    other.start()
    watchdog.dump()
    event.set()
    other.join()
    assert len(updates) == 2
    assert all("stack" not in update.extra for update in updates)


def test_reading_stacks_keeps_no_locals_alive(tracking: Tracking) -> None:
    """After a dump nothing refers to the frames that were read."""
    watchdog, _ = watch(tracking)
    event = threading.Event()

    class Local:
        alive = True

        def __del__(self) -> None:
            type(self).alive = False

    def work() -> None:
        local = Local()
        with tracking.tracer.start_as_current_span("holds a local"):
            event.wait()
        del local

    thread = threading.Thread(target=work)
    thread.start()
    assert becomes_true(lambda: len(tracking.table))
    watchdog.dump()
    event.set()
    thread.join()
    assert not Local.alive


def test_the_users_line_is_there_however_deep_the_libraries_are() -> None:
    """A stack has the innermost twenty frames; if all are libraries', the last is the user's."""
    frame = through(*[LIBRARY] * 50)(lambda: sys._getframe(1))  # noqa: SLF001 - a frame of a library
    stack = stack_of_thread(cast("FrameType", frame))
    assert len(stack) == MAX_FRAMES
    assert {one["file"] for one in stack[:-1]} == {LIBRARY}
    assert Path(str(stack[-1]["file"])).samefile(__file__)
