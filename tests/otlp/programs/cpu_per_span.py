"""Measures the CPU time per sent span, of our exporter and the stock one, in one process.

    python cpu_per_span.py [ROUNDS] [SPANS]

All send to the OTLP/HTTP endpoint that the environment names: the stock processor
and exporter, our exporter alone, and the pipeline of `configure(otlp=True)`, which
also redacts, writes files, and keeps unsent records on disk. They alternate, so that
all run under the same conditions; a round is the work and a flush. Prints the median of
each and of the ratios to the stock one as JSON. Starts of spans that are open for longer
than the grace are included.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_ext import configure
from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

CHILDREN = 9
PLENTY = QueueLimits(1_000_000, 1 << 30)


def use_spans(provider: TracerProvider, spans: int) -> None:
    """Create traces of ten spans each, below one span that stays open."""
    tracer = provider.get_tracer("bench", "1.0")
    request: dict[str, AttributeValue] = {"http.method": "GET", "url.full": "http://x/a/b", "n": 1}
    query: dict[str, AttributeValue] = {"db.system": "sqlite", "db.query": "select 1", "ok": True}
    with tracer.start_as_current_span("job"):
        for _ in range(spans // (CHILDREN + 1)):
            with tracer.start_as_current_span("request", attributes=request) as span:
                for row in range(CHILDREN):
                    with tracer.start_as_current_span("query", attributes={**query, "row": row}):
                        pass
                span.set_attribute("http.response.status_code", 200)
            time.sleep(0.0005)


def cpu_of(provider: TracerProvider, spans: int) -> float:
    """Return the CPU time of a round, in microseconds per span."""
    gc.collect()
    before = time.process_time()
    use_spans(provider, spans)
    if not provider.force_flush(30_000):
        raise SystemExit("not everything was sent")
    return (time.process_time() - before) / spans * 1e6


def main(rounds: int, spans: int) -> None:
    """Alternate between the providers and print the medians."""
    resource = Resource.create({"service.name": "bench"})
    stock = TracerProvider(resource=resource)
    stock.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=1_000_000))
    ours = TracerProvider(resource=resource)
    ours.add_span_processor(LifecycleSpanProcessor(OTLPRecordExporter(limits=PLENTY)))
    configured = TracerProvider(resource=resource)
    configure(otlp=True, console="off", output="cpu_per_span", tracer_provider=configured)
    plain = TracerProvider(resource=resource)
    providers = (stock, ours, plain, configured)
    for provider in providers:
        cpu_of(provider, spans)  # imports, connections
    figures = [[cpu_of(one, spans) for one in providers] for _ in range(rounds)]
    found = {
        "stock": median(row[0] for row in figures),
        "ours": median(row[1] for row in figures),
        "no exporter": median(row[2] for row in figures),
        "configured": median(row[3] for row in figures),
        "ratio": median(row[1] / row[0] for row in figures),
        "configured_ratio": median(row[3] / row[0] for row in figures),
    }
    sent = {name: COUNTERS.value(f"remote.sent_{name}") for name in ("finals", "events")}
    print(json.dumps({**{name: round(value, 3) for name, value in found.items()}, **sent}))


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("11", "5000")[len(sys.argv) - 1 :])))
