"""A program: what 100,000 open spans cost the table in time and memory; prints JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from otel_ext.inflight import InflightTable, span_key
from otel_ext.record.capture import capture_start
from otel_ext.runtime import incarnation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.record.model import Process, Record

SPANS = 100_000
ROUNDS = 4


def start_spans(provider: TracerProvider) -> list[Span]:
    """Start all the spans, with four attributes each, as a server's spans have."""
    tracer = provider.get_tracer("cost")
    attributes: dict[str, str | int] = {"http.method": "GET", "http.route": "/", "id": 7, "n": 1}
    started = (tracer.start_span("GET /orders", attributes=attributes) for _ in range(SPANS))
    return [span for span in started if isinstance(span, Span)]


def bytes_taken(spans: list[Span], process: Process) -> int:
    """Return the memory that the table and all that it holds take."""
    tracemalloc.start()
    table = InflightTable()
    for number, span in enumerate(spans):
        table.add(capture_start(span, process, number + 1_000), span)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(table) == SPANS
    return taken


def times(spans: list[Span], records: list[Record]) -> Iterator[tuple[float, float]]:
    """Yield nanoseconds of processor time for one `add` and one `pop`, per round."""
    keys = [span_key(span.get_span_context()) for span in spans]
    for _ in range(ROUNDS):
        table = InflightTable()
        begin = time.thread_time_ns()
        for record, span, key in zip(records, spans, keys, strict=True):
            table.add(record, span, key)
        added = time.thread_time_ns()
        for key in keys:
            table.pop(key)
        popped = time.thread_time_ns()
        yield (added - begin) / SPANS, (popped - added) / SPANS


def main() -> None:
    """Measure both."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())
    spans = start_spans(provider)
    process = incarnation.current().process_for(provider.resource)
    taken = bytes_taken(spans, process)
    measured = list(times(spans, [capture_start(span, process, 1) for span in spans]))
    told = {
        "bytes_per_span": taken // SPANS,
        "add_ns": round(min(added for added, _ in measured)),
        "pop_ns": round(min(popped for _, popped in measured)),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
