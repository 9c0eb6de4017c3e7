"""What the helpers keep is bounded, however long a task, thread or callback goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from otel_ext.context import auto_span, error_context, with_context, with_span
from otel_ext.context.manual import current_span, end_span, start_span
from otel_ext.context.scope import Scope
from otel_ext.context.trace import trace_context
from tests.context.tracing import Tracing, leave_no_span
from tests.global_provider import as_global

if TYPE_CHECKING:
    from collections.abc import Generator

Output = pytest.CaptureFixture[str]


def test_spans_that_overlap_without_end_are_not_kept(traced: Tracing) -> None:
    """Each is started before the one before it ends; the ended ones are collected."""
    references: list[weakref.ref[object]] = []
    spans = [start_span("0")]
    for number in range(50):
        spans.append(start_span(str(number + 1)))
        end_span(spans[0])
        references.append(weakref.ref(spans.pop(0)))
    (span,) = spans
    assert current_span() is span
    gc.collect()
    assert sum(one() is not None for one in references) <= 3
    end_span(span)
    assert traced.parent_of("50") == "49"


def test_fields_that_callbacks_set_are_bounded(traced: Tracing) -> None:
    """Each callback starts the next one, which inherits its fields."""
    seen: list[int] = []

    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def tick(left: int) -> None:
            error_context.set(left=left)
            if left == 0:
                done.set()
            else:
                loop.call_soon(tick, left - 1)

        tick(200)
        await done.wait()
        gc.collect()
        seen.append(sum(type(one) is Scope for one in gc.get_objects()))

    with with_span("work"):
        asyncio.run(main())
    assert seen[0] < 60
    assert len(traced.spans) == 1


def test_a_generator_keeps_neither_items_nor_arguments(traced: Tracing) -> None:
    """What the body and the consumer have dropped is collected."""

    class Chunk:
        """Something large."""

    @auto_span
    def chunks(first: Chunk) -> Generator[Chunk, None, None]:
        del first
        for _ in range(2):
            yield Chunk()

    first = Chunk()
    iterator = chunks(first)
    argument, item = weakref.ref(first), weakref.ref(next(iterator))
    del first
    gc.collect()
    assert (argument(), item()) == (None, None)
    assert len(list(iterator)) == 1
    assert len(traced.spans) == 1


@pytest.mark.since(3, 13)
def test_what_a_closed_generator_returns(traced: Tracing) -> None:
    """It is the result of `close`, as without the decorator."""

    @auto_span
    def work() -> Generator[int, None, str]:
        try:
            yield 1
        except GeneratorExit:
            return "partly"
        return "all"

    iterator = work()
    next(iterator)
    closed: object = iterator.close()  # type: ignore[func-returns-value]
    assert closed == "partly"
    assert traced.spans[0].attributes == {"otel_ext.ended_by": "GeneratorExit"}


def test_an_exception_keeps_its_fields_on_the_way_out_of_a_trace(traced: Tracing) -> None:
    """The event of the span around the inner trace has them, and the note stays."""
    with (
        pytest.raises(ValueError, match="no") as raised,
        with_span("outer"),
        trace_context("inner"),
        with_context(item=3),
    ):
        raise ValueError("no")
    assert vars(raised.value)["__notes__"] == ["error context: item=3"]
    assert traced.exception_of("outer")["item"] == 3


def test_a_partly_imported_asyncio_is_no_problem(
    traced: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while another thread imports it."""
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    end_span(start_span("work"))
    assert traced.end_of("work")[0] == "OK"


class _Failing(SpanProcessor):
    """Counts starts, and raises."""

    starts = 0

    def on_start(self, span: object, parent_context: object = None) -> None:
        """Raise."""
        self.starts += 1
        raise RuntimeError("no start")


def test_a_processor_that_fails_starts_no_second_span(capfd: Output) -> None:
    """Only attributes that fail are a reason to try again."""
    provider, failing = TracerProvider(shutdown_on_exit=False), _Failing()
    provider.add_span_processor(failing)
    with as_global(provider), leave_no_span(), with_span("work", n=1) as span:
        assert not span.is_recording()
    assert failing.starts == 1
    assert "a span could not be started: RuntimeError: no start" in capfd.readouterr().err
