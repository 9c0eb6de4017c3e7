"""Cases that encode final spans for a collector: with the stock encoder, and with ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.harness import Case
from benchmarks.peers import RESOURCE
from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import RequestCodec
from otel_ext.record.capture import capture_end
from otel_ext.record.model import Process
from otel_ext.record.sanitise.sanitiser import sanitised

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BATCH", "OURS", "STOCK", "encoding_cases"]

STOCK: Final = "stock encoder"
OURS: Final = "otel-ext"
BATCH: Final = 512
"""How many spans a request has; the default of the SDK."""


class _Keeping(SpanExporter):
    """Keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep them."""
        self.spans += spans
        return SpanExportResult.SUCCESS


def _request_spans() -> list[ReadableSpan]:
    """Return spans of an HTTP server, as an instrumentation makes them."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    keeping = _Keeping()
    provider.add_span_processor(SimpleSpanProcessor(keeping))
    tracer = provider.get_tracer("benchmark", "1.0")
    for number in range(BATCH):
        with tracer.start_as_current_span("GET /orders/{id}") as span:
            span.set_attributes(
                {
                    "http.request.method": "GET",
                    "url.path": f"/orders/{number}",
                    "url.scheme": "http",
                    "server.address": "localhost",
                    "server.port": 8_000,
                    "network.protocol.version": "1.1",
                    "user_agent.original": "python-httpx/0.27.0",
                    "http.response.status_code": 200,
                    "http.route": "/orders/{id}",
                    "client.address": "127.0.0.1",
                }
            )
    return keeping.spans


def encoding_cases() -> list[Case]:
    """Return a case for each encoder; the argument of its work is a number of requests.

    Both get what they get in a program: the stock one spans, ours records, captured already.
    """
    spans = _request_spans()
    process = Process("b00tb00t-1", resource={"service.name": "benchmark"})
    records = [
        sanitised(capture_end(span, process, number, None)) for number, span in enumerate(spans)
    ]
    codec = RequestCodec(ENCODINGS["events"])

    def encode_stock(requests: int) -> None:
        for _ in range(requests):
            encode_spans(spans).SerializeToString()

    def encode_ours(requests: int) -> None:
        for _ in range(requests):
            codec.encode("spans", records)

    return [Case(STOCK, encode_stock), Case(OURS, encode_ours)]
