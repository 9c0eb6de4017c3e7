"""The types of blocks, executors, carried functions and structured traces; for mypy and pyright.

Both check each `assert_type`. A line that must be an error has `type: ignore`, and both report
one that is not needed.
"""

# ruff: noqa: D103 - only their types matter
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from opentelemetry.trace import Span
from typing_extensions import assert_type

import otel_ext
from otel_ext import (
    StructuredTrace,
    current_span,
    end_span,
    propagate_context,
    start_span,
    subscribe,
    trace_context,
    traced_executor,
    with_context,
    with_propagated_context,
    with_span,
)
from otel_ext.context import BufferedLogger, Trace, carried, context_environment
from otel_ext.events import Event, Subscription
from otel_ext.structured import Pipeline, PipelineResult, TraceSpan


def charge(order: int, card: str = "", *, retries: int = 3) -> str:
    return f"{order}{card}{retries}"


async def charge_later(order: int) -> str:
    return str(order)


def ring(times: int) -> None: ...


async def blocks() -> None:
    with with_span("sync", order=7) as span:
        assert_type(span, Span)
    async with with_span("async") as span:
        assert_type(span, Span)
    with trace_context("sync", max_records=10, job=7) as trace:
        assert_type(trace, Trace)
    async with trace_context("async") as trace:
        assert_type(trace, Trace)
    with BufferedLogger("nightly.jsonl", job=7) as logger:
        assert_type(logger, BufferedLogger)
    with with_context(order=object()) as context:
        assert_type(context, with_context)
    assert_type(start_span("import", rows=12), Span)
    assert_type(current_span(), Span)
    end_span(None, "failure", "no rows")
    end_span(None, "failed")  # type: ignore[arg-type]
    with_span("x", order=object())  # type: ignore[arg-type]
    with_span(7)  # type: ignore[arg-type]


def not_swallowed() -> int:
    """A block does not swallow exceptions, so code after it that returns is not needed."""
    with with_span("block"):
        return 7


def executors() -> None:
    with traced_executor(ThreadPoolExecutor(2)) as executor:
        assert_type(executor, traced_executor)
        assert_type(executor.submit(charge, 7, retries=1), Future[str])
        assert_type(executor.submit(charge, 7).result(), str)
        assert_type(executor.submit(ring, 7).result(), None)
        assert_type(executor.map(charge, [7]), Iterator[str])
        executor.submit(charge, "7")  # type: ignore[arg-type]
        executor.submit(charge)  # type: ignore[call-arg]


async def carriers() -> None:
    assert_type(carried(charge)(7, retries=1), str)
    assert_type(await carried(charge_later)(7), str)
    assert_type(propagate_context(), dict[str, str])
    assert_type(context_environment(), dict[str, str])
    with with_propagated_context({"traceparent": ""}):
        pass
    carried(charge)("7")  # type: ignore[arg-type]


async def structured_traces() -> None:
    trace = StructuredTrace()
    assert_type(trace.with_span("function", lambda: 7), int)
    assert_type(trace.with_span("function", lambda: "a", {"actor": 7}), str)
    with trace.with_span("block", attributes={"actor": 7}) as span:
        assert_type(span, TraceSpan)
        assert_type(span.children, list[TraceSpan])
    assert_type(await trace.with_span_async("coroutine", lambda: charge_later(7)), str)
    assert_type(trace.start_span("step"), TraceSpan)
    trace.with_span("function", charge)  # type: ignore[arg-type]


async def pipelines() -> None:
    assert_type(Pipeline([charge]).run(7), PipelineResult)
    assert_type((await Pipeline([charge_later]).run_async(7)).ok, bool)


def events() -> None:
    def handler(event: Event) -> None: ...

    assert_type(subscribe("span.*", handler), Subscription)
    subscribe("span.*", ring)  # type: ignore[arg-type]


def public_names() -> None:
    """The names of `otel_ext` are known to checkers although they are imported on first use."""
    assert_type(otel_ext.current_span(), Span)
    assert_type(otel_ext.__version__, str)
