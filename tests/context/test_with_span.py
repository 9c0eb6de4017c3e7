"""`with_span` as a context manager and decorator, and `current_span`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from contextvars import copy_context
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, get_current, get_value, set_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN

from otel_ext.context.manual import current_span, start_span
from otel_ext.context.spans import with_span
from tests.context.tracing import REMOTE, leave_no_span
from tests.global_provider import as_global
from tests.threads import numbered_threads, on_thread

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.context.tracing import Tracing


def test_a_block_runs_in_its_span(traced: Tracing) -> None:
    """The span is current in the block, the child of the span outside, and ends with it."""
    with with_span("outer") as outer:
        assert current_span() is trace.get_current_span() is outer
        with with_span("inner", **{"http.route": "/"}) as inner:
            assert current_span() is inner
            assert inner.is_recording()
        assert not inner.is_recording()
        assert current_span() is outer
    assert current_span() is INVALID_SPAN
    assert traced.parent_of("inner") == "outer"
    assert traced.parent_of("outer") is None
    assert traced.end_of("inner")[2] == {"http.route": "/"}
    assert traced.records.events == ["outer.start", "inner.start", "inner.end", "outer.end"]
    scope = traced.span("outer").instrumentation_scope
    assert scope is not None
    assert scope.name == "otel_ext"


def test_attributes_may_have_the_names_of_parameters(traced: Tracing) -> None:
    """`name` and `self` can be names of attributes."""
    with with_span("work", name="n", self="s"):
        pass
    assert traced.end_of("work")[2] == {"name": "n", "self": "s"}


def test_async_with_is_the_same(traced: Tracing) -> None:
    """`async with` makes the span current over the awaits of its task, and of no other."""

    async def beside() -> None:
        assert current_span() is INVALID_SPAN

    async def main() -> None:
        task = asyncio.create_task(beside())
        async with with_span("work", order=7) as span:
            await task
            assert current_span() is span
            async with with_span("inner"):
                await asyncio.sleep(0)
        assert current_span() is INVALID_SPAN
        with pytest.raises(ValueError, match="no"):
            async with with_span("fails"):
                raise ValueError("no")

    asyncio.run(main())
    assert traced.end_of("work") == ("OK", None, {"order": 7})
    assert traced.parent_of("inner") == "work"
    assert traced.end_of("fails")[0] == "ERROR"


def test_a_cancelled_task_ends_its_spans(traced: Tracing) -> None:
    """Cancellation leaves the status of all open spans of the task unset, and ends them."""

    async def work(is_open: asyncio.Event) -> None:
        async with with_span("outer"), with_span("inner"):
            is_open.set()
            await asyncio.Event().wait()

    async def main() -> None:
        is_open = asyncio.Event()
        task = asyncio.create_task(work(is_open))
        await is_open.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for name in ("inner", "outer"):
        assert traced.end_of(name) == ("UNSET", None, {"otel_ext.ended_by": "CancelledError"})


def test_one_object_can_be_entered_again(traced: Tracing) -> None:
    """An object that is entered again, also within itself, makes a span each time."""
    block = with_span("work")
    with block as first:
        with block as second:
            assert current_span() is second
        assert current_span() is first
    with block:
        pass
    parents = [span.parent and span.parent.span_id for span in traced.spans]
    assert parents == [first.get_span_context().span_id, None, None]
    assert {span.status.status_code.name for span in traced.spans} == {"OK"}


def test_threads_can_share_one_object(traced: Tracing) -> None:
    """Threads in one object at the same time each end their own span."""
    block, barrier = with_span("work"), Barrier(8)

    def work(number: int) -> None:
        for _ in range(5):
            barrier.wait(30)
            with block as span:
                span.set_attribute("thread", number)
                barrier.wait(30)
                assert current_span() is span
                with block as inner:
                    inner.set_attribute("thread", number)
                    barrier.wait(30)
            assert current_span() is INVALID_SPAN
            assert not span.is_recording()

    numbered_threads(8, work)
    of = {span.context.span_id: span for span in traced.spans if span.context}
    assert len(of) == 80
    for span in of.values():
        if span.parent is not None:
            outer = of[span.parent.span_id]
            assert (outer.attributes or {})["thread"] == (span.attributes or {})["thread"]


def test_tasks_can_share_one_object(traced: Tracing) -> None:
    """Tasks that leave one object in another order than they entered it end their own spans."""
    block = with_span("work")

    async def work(number: int, turn: asyncio.Event, following: asyncio.Event) -> None:
        async with block as span:
            span.set_attribute("task", number)
            await turn.wait()
            assert current_span() is span
        assert not span.is_recording()
        following.set()

    async def main() -> None:
        turns = [asyncio.Event() for _ in range(6)]
        tasks = [asyncio.create_task(work(n, turns[n], turns[n + 1])) for n in range(5)]
        await asyncio.sleep(0)
        turns[0].set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)

    asyncio.run(main())
    assert [(span.attributes or {})["task"] for span in traced.spans] == [0, 1, 2, 3, 4]
    assert all(span.parent is None for span in traced.spans)


def test_leaving_a_block_that_was_not_entered_has_no_effect(traced: Tracing) -> None:
    """`__exit__` without `__enter__` raises nothing."""
    with_span("work").__exit__(None, None, None)
    assert traced.spans == []


def test_blocks_may_end_out_of_order(traced: Tracing) -> None:
    """Blocks that end in the order of their starts each end their own span."""
    first, second = with_span("first"), with_span("second")
    with with_span("outer"):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
    assert [span.name for span in traced.spans] == ["first", "second", "outer"]
    assert traced.parent_of("second") == "first"


def test_a_block_ends_what_was_left_open_in_it(traced: Tracing) -> None:
    """After the block, the span outside is current, although one within was never ended."""
    with with_span("outer") as outer:
        with with_span("work"):
            start_span("forgotten")
            attach(set_value("of", "the program"))
        assert current_span() is outer
        assert get_value("of") is None
    assert [record.name for record in traced.records.open] == ["forgotten"]


def test_a_span_that_the_program_ends_itself_is_reported(
    traced: Tracing, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ending the span within its block warns once, and logs nothing of the SDK's."""
    for _ in range(2):
        with with_span("work") as span:
            span.end()
    assert [span.status.status_code.name for span in traced.spans] == ["UNSET", "UNSET"]
    assert capfd.readouterr().err.count("ended twice") == 1


def test_a_block_may_end_in_another_context(traced: Tracing) -> None:
    """In a copy of its context the span ends as usual; the origin keeps it to its own end."""
    block = with_span("work")
    with with_span("outer") as outer:
        span = block.__enter__()
        copied = copy_context()
        copied.run(block.__exit__, None, None, None)
        assert copied.run(current_span) is outer
        assert not span.is_recording()
    assert traced.parent_of("work") == "outer"


def test_a_block_that_ends_in_another_thread_changes_nothing_there(traced: Tracing) -> None:
    """The span ends, and the thread's own span stays the current one."""
    block = with_span("work")
    with with_span("first"):
        span = block.__enter__()

        def end() -> None:
            with with_span("of the thread") as own:
                block.__exit__(None, None, None)
                assert current_span() is own
            assert current_span() is INVALID_SPAN

        on_thread(end)
        assert not span.is_recording()
    assert traced.parent_of("of the thread") is None


def test_a_block_in_a_generator_that_ends_late_changes_nothing(traced: Tracing) -> None:
    """A generator that is collected in a later job leaves that job's span the current one."""

    def items() -> Generator[int, None, None]:
        with with_span("items"):
            yield 1

    with with_span("first job"):
        kept = items()
        next(kept)
    assert current_span() is INVALID_SPAN
    with with_span("second job") as second:
        kept.close()
        assert current_span() is second
    assert traced.end_of("items")[2] == {"otel_ext.ended_by": "GeneratorExit"}
    assert traced.parent_of("items") == "first job"


def test_a_generator_may_go_on_in_other_contexts(traced: Tracing) -> None:
    """A generator whose body has a block can be resumed in another context each time."""

    def items() -> Generator[int, None, None]:
        for number in range(3):
            with with_span(f"item {number}"):
                yield number

    iterator = items()
    contexts = [copy_context() for _ in range(4)]
    for number, context in enumerate(contexts[:3]):
        assert context.run(next, iterator) == number
    assert contexts[3].run(next, iterator, None) is None
    assert [span.name for span in traced.spans] == ["item 0", "item 1", "item 2"]
    # Where a block began that ended elsewhere, its span stays the current one.
    assert contexts[3].run(current_span) is INVALID_SPAN


def test_a_decorated_function_makes_a_span_each_call(traced: Tracing) -> None:
    """As a decorator it keeps the function's names, signature, result and exceptions."""

    @with_span("add up", currency="EUR")
    def total(prices: list[int], *, tax: int = 0) -> int:
        """Add prices."""
        if not prices:
            raise ValueError("no prices")
        return sum(prices) + tax

    assert total([1, 2], tax=3) == 6
    with pytest.raises(ValueError, match="no prices"):
        total([])
    assert total.__name__ == "total"
    assert total.__doc__ == "Add prices."
    assert list(inspect.signature(total).parameters) == ["prices", "tax"]
    assert [span.status.status_code.name for span in traced.spans] == ["OK", "ERROR"]
    assert [(span.attributes or {})["currency"] for span in traced.spans] == ["EUR", "EUR"]


def test_a_decorated_coroutine_function_stays_one(traced: Tracing) -> None:
    """The span of a coroutine covers its awaits; a recursive one nests."""

    @with_span("countdown")
    async def countdown(number: int) -> int:
        await asyncio.sleep(0)
        return 1 + await countdown(number - 1) if number else 0

    assert inspect.iscoroutinefunction(countdown)
    assert asyncio.run(countdown(3)) == 3
    assert len(traced.spans) == 4
    ids = [span.context.span_id for span in traced.spans if span.context]
    assert [span.parent and span.parent.span_id for span in traced.spans] == [*ids[1:], None]


def test_a_coroutine_that_is_a_generator_stays_one(traced: Tracing) -> None:
    """A function decorated by `types.coroutine` can still be awaited."""

    @with_span("step")
    @types.coroutine
    def step() -> Generator[None, None, int]:
        yield
        return 5

    async def main() -> int:
        return await step()

    assert asyncio.run(main()) == 5
    assert traced.end_of("step")[0] == "OK"


def test_a_partial_can_be_decorated(traced: Tracing) -> None:
    """`with_span` takes any callable, such as a partial or a bound method."""
    assert with_span("partial")(functools.partial(int, base=2))("101") == 5
    assert with_span("method")([1].count)(1) == 1
    assert [span.name for span in traced.spans] == ["partial", "method"]


def test_without_a_provider_nothing_changes() -> None:
    """Without a provider, the block and the call run, and the current span stays."""
    with as_global(None), leave_no_span():
        token = attach(trace.set_span_in_context(REMOTE))
        before = get_current()
        with with_span("work", order=7) as span:
            assert span is INVALID_SPAN
            assert get_current() is before
            assert with_span("call")(current_span)() is REMOTE
        assert get_current() is before
        token.var.reset(token)


def test_with_the_sdk_disabled_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED` gives blocks without a span."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = TracerProvider(shutdown_on_exit=False)
    with as_global(provider), leave_no_span(), with_span("work") as span:
        assert span is INVALID_SPAN


def test_an_unsampled_span_is_current(unsampled: Tracing) -> None:
    """A span that is sampled out is current, so that its children are out too."""
    with with_span("outer") as outer, with_span("inner") as inner:
        assert current_span() is inner
        assert not inner.is_recording()
        assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
    assert unsampled.spans == []


def test_blocks_follow_the_global_provider(traced: Tracing) -> None:
    """An object made before a provider is set uses the one that is set when it is entered."""
    block = with_span("work")
    with as_global(None), block as off:
        assert off is INVALID_SPAN
        with as_global(traced.provider), block as on:
            assert on.is_recording()
    assert traced.end_of("work")[0] == "OK"


def test_a_provider_that_fails_loses_the_span_only(capfd: pytest.CaptureFixture[str]) -> None:
    """A sampler or processor that raises is reported; the block runs."""

    class Failing(trace.TracerProvider):
        def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
            raise RuntimeError("no tracer")

    with as_global(Failing()), leave_no_span(), with_span("work") as span:
        assert span is INVALID_SPAN
    assert "no span can be started: RuntimeError: no tracer" in capfd.readouterr().err
