"""Measures the processor time of a span that is sent, beside that of the stock exporter."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.peers import RESOURCE
from benchmarks.result import Result, Table
from benchmarks.servers import collector_command, free_ports, serve
from otel_ext import configure
from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

__all__ = ["measure"]

_STOCK: Final = "Batch + stock OTLP/HTTP exporter"
_OURS: Final = "otel-ext: OTLPRecordExporter"
_WHOLE: Final = "otel-ext: configure(otlp=True)"
_KEYS: Final = {_OURS: "sent span over stock", _WHOLE: "sent span over stock, configured"}
_CHILDREN: Final = 9
_PLENTY: Final = 1_000_000
_WAIT: Final = 30_000


def measure(effort: Effort) -> Result:
    """Send spans to a collector in turn; it discards them."""
    result = Result(
        "sent_span",
        "A span that is sent",
        "Traces of ten spans below one that stays open, each with five attributes, sent over"
        " OTLP/HTTP to a collector and flushed; the peers take turns in one process. Starts of"
        " spans that are open for longer than the grace are included. `configure(otlp=True)`"
        " also redacts, writes files and keeps unsent records on disk. Processor time of all"
        " threads in microseconds, median and quartiles.",
    )
    with TemporaryDirectory(prefix="otel-ext-bench-") as name:
        folder = Path(name)
        http, grpc = free_ports(2)
        command = collector_command(http, grpc, folder)
        if command is None:
            result.notes += [f"{key}: the collector is not installed." for key in _KEYS.values()]
            return result
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{http}"
        os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
        with serve(command, http, folder / "collector.log"), Cases(_cases(folder)) as cases:
            costs = alternate(
                cases,
                rounds=effort.pick(full=11, quick=3, tiny=1),
                count=effort.pick(full=5_000, quick=500, tiny=20),
            )
    cpu = {name: [cost.cpu / 1_000 for cost in found] for name, found in costs.items()}
    for name, key in _KEYS.items():
        result.figures[key] = ratios(cpu[name], cpu[_STOCK])
    rows = [
        [name, summarise(values).show(), ratios(values, cpu[_STOCK]).show()]
        for name, values in cpu.items()
    ]
    result.tables.append(Table("A span that is sent", ["", "CPU", "over stock"], rows))
    if dropped := COUNTERS.dropped():
        result.notes.append(f"Records that otel-ext dropped, by reason: {dropped}.")
    return result


def _cases(folder: Path) -> list[Case]:
    providers = {
        name: TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
        for name in (_STOCK, _OURS, _WHOLE)
    }
    stock = BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=_PLENTY)
    providers[_STOCK].add_span_processor(stock)
    ours = OTLPRecordExporter(limits=QueueLimits(_PLENTY, 1 << 30))
    providers[_OURS].add_span_processor(LifecycleSpanProcessor(ours))
    configure(otlp=True, console="off", output=folder / "traces", tracer_provider=providers[_WHOLE])
    return [
        Case(name, partial(_use_spans, one), partial(_flush, one), one.shutdown)
        for name, one in providers.items()
    ]


def _flush(provider: TracerProvider) -> None:
    if not provider.force_flush(_WAIT):
        raise RuntimeError("not everything was sent")


def _use_spans(provider: TracerProvider, spans: int) -> None:
    """Create traces of ten spans each, below one span that stays open."""
    tracer = provider.get_tracer("bench", "1.0")
    request: dict[str, AttributeValue] = {"http.method": "GET", "url.full": "http://x/a/b", "n": 1}
    query: dict[str, AttributeValue] = {"db.system": "sqlite", "db.query": "select 1", "ok": True}
    with tracer.start_as_current_span("job"):
        for _ in range(spans // (_CHILDREN + 1)):
            with tracer.start_as_current_span("request", attributes=request) as span:
                for row in range(_CHILDREN):
                    with tracer.start_as_current_span("query", attributes={**query, "row": row}):
                        pass
                span.set_attribute("http.response.status_code", 200)
            sleep(0.0005)
