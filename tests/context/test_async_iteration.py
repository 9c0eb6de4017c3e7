"""Async generators in a span that is current only while their body runs."""

from __future__ import annotations

import asyncio
import gc
import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import attach
from opentelemetry.trace import (
    set_span_in_context,
)

from otel_ext.context.auto import auto_span
from otel_ext.context.manual import current_span
from otel_ext.context.spans import with_span
from tests.context.tracing import CLOSED, REMOTE, leave_no_span
from tests.global_provider import as_global

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from opentelemetry.trace import Span

    from tests.context.tracing import Tracing


@auto_span(name="pages")
async def pages(count: int) -> AsyncGenerator[Span, None]:
    """Yield the current span, `count` times, with a span around each yield."""
    own = current_span()
    for number in range(count):
        async with with_span(f"page {number}") as inner:
            await asyncio.sleep(0)
            assert current_span() is inner
            yield inner
            await asyncio.sleep(0)
            assert current_span() is inner
        assert current_span() is own


def test_an_async_generator_is_the_same(traced: Tracing) -> None:
    """Its span is current over the awaits of the body, and not in the consumer."""

    async def main() -> None:
        async with with_span("consumer") as consumer:
            async for inner in pages(3):
                assert inner.is_recording()
                assert current_span() is consumer
                await asyncio.sleep(0)
                assert current_span() is consumer

    asyncio.run(main())
    assert traced.parent_of("pages") == "consumer"
    assert {traced.parent_of(f"page {n}") for n in range(3)} == {"pages"}
    assert traced.end_of("pages") == ("OK", None, {})


def test_an_async_generator_takes_values_and_exceptions(traced: Tracing) -> None:
    """`asend`, `athrow` and `aclose` work as without a span."""

    @auto_span(name="echo")
    async def echo() -> AsyncGenerator[object, object]:
        value: object = None
        while True:
            try:
                value = yield value
            except KeyError as error:
                value = error

    async def main() -> None:
        iterator = echo()
        assert await iterator.__anext__() is None
        assert await iterator.asend(5) == 5
        error = KeyError("handled")
        assert await iterator.athrow(error) is error
        await iterator.aclose()
        failing = echo()
        await failing.__anext__()
        with pytest.raises(ValueError, match="no"):
            await failing.athrow(ValueError("no"))

    asyncio.run(main())
    assert [span.status.status_code.name for span in traced.spans] == ["UNSET", "ERROR"]


def test_each_item_of_an_async_generator_may_go_to_another_task(traced: Tracing) -> None:
    """A consumer that is a new task each time gets the items; the body keeps its span."""

    async def request(iterator: AsyncGenerator[Span, None]) -> Span:
        async with with_span("task") as own:
            found = await iterator.__anext__()
            assert current_span() is own
        return found

    async def main() -> None:
        async with aclosing(pages(3)) as iterator:
            for _ in range(3):
                await asyncio.create_task(request(iterator))
            with pytest.raises(StopAsyncIteration):
                await asyncio.create_task(request(iterator))

    asyncio.run(main())
    assert {traced.parent_of(f"page {n}") for n in range(3)} == {"pages"}
    assert traced.end_of("pages")[0] == "OK"


def test_a_cancelled_consumer_cancels_the_body(traced: Tracing) -> None:
    """Cancellation while the body waits is that of its span."""

    @auto_span(name="waiting")
    async def waiting(is_open: asyncio.Event) -> AsyncGenerator[int, None]:
        is_open.set()
        await asyncio.Event().wait()
        yield 1

    async def consume(is_open: asyncio.Event) -> None:
        async for _ in waiting(is_open):
            pass

    async def main() -> None:
        is_open = asyncio.Event()
        task = asyncio.create_task(consume(is_open))
        await is_open.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert traced.end_of("waiting") == ("UNSET", None, {"otel_ext.ended_by": "CancelledError"})


@pytest.mark.parametrize("is_kept", [False, True], ids=["collected", "at the end of the loop"])
def test_an_abandoned_async_generator_ends_its_span(traced: Tracing, is_kept: bool) -> None:
    """The event loop closes it, once, with the awaits of its end; it reports no error."""
    kept: list[object] = []
    problems: list[dict[str, Any]] = []

    @auto_span(name="work")
    async def work(closed: asyncio.Event) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            kept.append(current_span())
            closed.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        closed = asyncio.Event()
        iterator = work(closed)
        await iterator.__anext__()
        if is_kept:
            kept.append(iterator)
            return
        del iterator
        gc.collect()
        await asyncio.wait_for(closed.wait(), 30)

    asyncio.run(main())
    assert problems == []
    assert traced.end_of("work") == CLOSED
    span: Any = kept[-1]
    assert span.get_span_context() == traced.span("work").context


def test_the_kinds_of_functions_are_kept() -> None:
    """`inspect` sees an async generator function, and its signature."""
    assert inspect.isasyncgenfunction(pages)
    assert list(inspect.signature(pages).parameters) == ["count"]


def test_without_a_provider_the_body_has_the_context_of_its_consumer() -> None:
    """With tracing off, a span of the program's own is current in the body."""
    seen: list[object] = []

    @auto_span
    async def work() -> AsyncGenerator[int, int]:
        seen.append(current_span())
        try:
            seen.append((yield 1))
            yield 2
        finally:
            seen.append(current_span())

    async def main() -> None:
        attach(set_span_in_context(REMOTE))
        async with aclosing(work()) as iterator:
            assert await iterator.__anext__() == 1
            assert await iterator.asend(7) == 2

    with as_global(None), leave_no_span():
        asyncio.run(main())
    assert seen == [REMOTE, 7, REMOTE]
