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
from tests.inflight.tracking import Tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

SPANS = 100_000
ROUNDS = 4


def start(tracer: Tracer) -> list[object]:
    """Start all the spans, with four attributes each, as a server's spans have."""
    return [
        tracer.start_span(
            "GET /orders/{id}",
            attributes={"http.method": "GET", "http.route": "/orders", "id": number, "ok": True},
        )
        for number in range(SPANS)
    ]


def bytes_taken(tracer: Tracer) -> int:
    """Return the memory that all the spans and what belongs to them take."""
    gc.collect()
    tracemalloc.start()
    spans = start(tracer)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del spans
    return taken


def times() -> Iterator[tuple[float, float]]:
    """Yield nanoseconds of processor time for one `add` and one `pop`, per round."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())
    spans = [span for span in start(provider.get_tracer("cost")) if isinstance(span, Span)]
    current = incarnation.current()
    process = current.process_for(provider.resource)
    records = [capture_start(span, process, 1) for span in spans]
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
    """Measure, memory first."""
    plain = TracerProvider(shutdown_on_exit=False)
    plain.add_span_processor(SpanProcessor())
    without = bytes_taken(plain.get_tracer("cost"))
    tracking = Tracking()
    with_table = bytes_taken(tracking.tracer)
    measured = list(times())
    told = {
        "bytes_per_span_of_the_sdk": without // SPANS,
        "bytes_per_span_of_ours": (with_table - without) // SPANS,
        "add_ns": round(min(added for added, _ in measured)),
        "pop_ns": round(min(popped for _, popped in measured)),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
