"""Spans that end because their task was cancelled are marked; those of its clean-up are not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters.console.lines import LineRenderer
from otel_ext.processors import lifecycle
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.record import cancellation
from otel_ext.record.capture import capture_end_python, capture_start_python
from otel_ext.record.codec import encode_line, encode_line_python
from otel_ext.record.decode import decode_line
from otel_ext.record.schema.validation import validate_line
from otel_ext.terminal.canvas import Canvas
from tests.structlog_kit import Kept

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record


@pytest.fixture
def kept() -> Kept:
    """Return the exporter that keeps the records."""
    return Kept()


@pytest.fixture(params=["as built", "in Python"])
def tracer(request: pytest.FixtureRequest, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Tracer:
    """Return a tracer whose spans are recorded, by the compiled hooks or the Python ones."""
    if request.param == "in Python":
        monkeypatch.setattr(lifecycle, "begin_span", LifecycleSpanProcessor.begin_span)
        monkeypatch.setattr(lifecycle, "end_span", LifecycleSpanProcessor.end_span)
        monkeypatch.setattr(lifecycle, "capture_start", capture_start_python)
        monkeypatch.setattr(lifecycle, "capture_end", capture_end_python)
    provider = TracerProvider()
    provider.add_span_processor(LifecycleSpanProcessor(kept))
    return provider.get_tracer("test")


def ends(kept: Kept) -> dict[str, Record]:
    """Return the end records by name."""
    return {record.name: record for record in kept.records if record.phase == "end"}


def cancelled(kept: Kept) -> set[str]:
    """Return the names of the spans that are marked."""
    return {name for name, record in ends(kept).items() if record.extra}


async def wait_for_ever(started: asyncio.Event) -> None:
    """Wait to be cancelled."""
    started.set()
    await asyncio.Event().wait()


async def cancelled_task(tracer: Tracer) -> None:
    """Cancel a task inside a span, with another span for its clean-up."""
    started = asyncio.Event()

    async def work() -> None:
        with tracer.start_as_current_span("outer"):
            try:
                with tracer.start_as_current_span("inner"):
                    await wait_for_ever(started)
            finally:
                with tracer.start_as_current_span("rollback"):
                    await asyncio.sleep(0)

    with tracer.start_as_current_span("caller"):
        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with tracer.start_as_current_span("later"):
            pass


def test_spans_that_a_cancellation_goes_through_are_marked(tracer: Tracer, kept: Kept) -> None:
    """A cancelled task's open spans are marked; clean-up, caller and later spans are not."""
    asyncio.run(cancelled_task(tracer))
    assert ends(kept).keys() == {"inner", "rollback", "outer", "later", "caller"}
    assert cancelled(kept) == {"inner", "outer"}
    for record in kept.records:
        line = encode_line(record)
        assert line == encode_line_python(record)
        assert validate_line(line) == []
        assert decode_line(line).extra == record.extra
    assert b'"cancelled":true' in encode_line(ends(kept)["inner"])
    assert ends(kept)["inner"].status == ends(kept)["later"].status  # the program's own word
    assert ends(kept)["rollback"].call_site.function.endswith("work")


def test_a_timeout_cancels(tracer: Tracer, kept: Kept) -> None:
    """The span that `wait_for` cancelled is marked; the one around it is not."""

    async def main() -> None:
        async def work() -> None:
            with tracer.start_as_current_span("slow"):
                await asyncio.Event().wait()

        with tracer.start_as_current_span("around"), suppress(asyncio.TimeoutError):
            await asyncio.wait_for(work(), 0.01)

    asyncio.run(main())
    assert cancelled(kept) == {"slow"}


def test_a_second_cancellation_marks_the_clean_up(tracer: Tracer, kept: Kept) -> None:
    """A span opened during one cancellation that ends by another one is marked."""

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            try:
                await wait_for_ever(first)
            finally:
                with tracer.start_as_current_span("rollback"):
                    await wait_for_ever(second)

        task = asyncio.create_task(work())
        for event in (first, second):
            await event.wait()
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert cancelled(kept) == {"rollback"}


def test_other_errors_in_a_task_do_not_cancel(tracer: Tracer, kept: Kept) -> None:
    """Other errors do not count, nor while another one is being handled."""

    async def main() -> None:
        try:
            with tracer.start_as_current_span("failing"):
                raise ValueError("no")  # noqa: TRY301 - what the program does
        except ValueError:
            with tracer.start_as_current_span("handling"):
                pass

    asyncio.run(main())
    assert cancelled(kept) == set()
    status = ends(kept)["failing"].status
    assert status is not None
    assert status.code == "error"


def test_what_is_noted_is_bounded(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that start during a cancellation and never end do not fill memory."""
    monkeypatch.setattr(cancellation, "_MAX_NOTED", 10)

    async def main() -> None:
        try:
            raise asyncio.CancelledError  # noqa: TRY301 - as above
        except asyncio.CancelledError:
            for number in range(50):
                tracer.start_span(str(number))

    asyncio.run(main())
    assert len(cancellation._started_during) <= 10  # noqa: SLF001 - memory cannot be seen from outside
    cancellation._started_during.clear()  # noqa: SLF001


@pytest.mark.parametrize(("ascii_only", "mark"), [(False, "⊘"), (True, "c")])
def test_people_see_that_it_was_cancelled(
    ascii_only: bool, mark: str, tracer: Tracer, kept: Kept
) -> None:
    """The console's line has its own symbol and the word."""
    asyncio.run(cancelled_task(tracer))
    renderer = LineRenderer(Canvas(ascii_only=ascii_only), lambda: 100)
    lines = [renderer.render(record) for record in kept.records]
    (inner,) = (line for line in lines if "inner" in line and "cancelled" in line)
    assert f"{mark} inner" in inner
    (later,) = (line for line in lines if "later" in line and "ms" in line)
    assert "cancelled" not in later
