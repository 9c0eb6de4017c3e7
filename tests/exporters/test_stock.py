"""Our exporters in the SDK's processors, and the SDK's exporters behind our processor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_ext.exporters import JsonlExporter, RecordSpanExporter, StockSpanExporterAdapter
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.model import UNKNOWN_CALL_SITE
from tests.exporters.samples import Counted, Hanging, Noting, Spoilt, end, log, start
from tests.programs import records_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan

LINKED = SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(1))


def make_spans(provider: TracerProvider) -> None:
    """Create a parent and a child with everything that a span can have."""
    tracer = provider.get_tracer("scope", "2.1")
    with tracer.start_as_current_span(
        "parent",
        kind=SpanKind.SERVER,
        attributes={"s": "text", "n": 7, "f": 1.5, "b": True, "list": ("a", "b")},
        links=[Link(LINKED, {"why": "batch"})],
    ) as parent:
        parent.add_event("halfway", {"percent": 50})
        with pytest.raises(ValueError, match="no luck"):
            fail(tracer)
        parent.set_status(Status(StatusCode.OK))


def fail(tracer: trace.Tracer) -> None:
    """Raise inside a span."""
    with tracer.start_as_current_span("child"):
        raise ValueError("no luck")


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_our_exporter_in_a_stock_processor(
    tmp_path: Path, processor: type[SimpleSpanProcessor | BatchSpanProcessor]
) -> None:
    """A stock processor's spans become final records, one each, in a real file."""
    provider = TracerProvider(resource=Resource({"service.name": "stock"}))
    provider.add_span_processor(processor(RecordSpanExporter(JsonlExporter(tmp_path))))
    make_spans(provider)
    assert provider.force_flush()
    provider.shutdown()
    records = records_in(tmp_path)
    spans = [record for record in records if record.kind == "span"]
    assert sorted(record.event for record in spans) == ["child.end", "parent.end"]
    assert {record.call_site for record in spans} == {UNKNOWN_CALL_SITE}
    assert {record.thread for record in spans} == {None}
    child = next(record for record in spans if record.name == "child")
    assert child.events[0].attributes["exception.message"] == "no luck"


def test_code_attributes_still_give_the_call_site() -> None:
    """`code.*` attributes are used if the stack is unknown."""
    inner = Noting()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(RecordSpanExporter(inner)))
    span = provider.get_tracer("t").start_span("s", attributes={"code.file.path": "jobs.py"})
    span.set_attribute("code.line.number", 4)
    span.end()
    assert (inner.records[0].call_site.file, inner.records[0].call_site.line) == ("jobs.py", 4)


def test_stock_exporter_behind_our_processor_sees_the_same_spans() -> None:
    """The spans equal those of the SDK, in all that a record contains."""
    direct, through = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "stock"}))
    provider.add_span_processor(SimpleSpanProcessor(direct))
    provider.add_span_processor(LifecycleSpanProcessor(StockSpanExporterAdapter(through)))
    make_spans(provider)
    assert provider.force_flush()
    expected, got = direct.get_finished_spans(), through.get_finished_spans()
    assert len(expected) == len(got) == 2
    for span, rebuilt in zip(expected, got, strict=True):
        assert as_seen(rebuilt) == as_seen(span)
    provider.shutdown()


def as_seen(span: ReadableSpan) -> dict[str, object]:
    """Return everything of a span that a record contains."""
    context = span.get_span_context()
    assert context is not None
    scope = span.instrumentation_scope
    assert scope is not None
    return {
        "name": span.name,
        "ids": (context.trace_id, context.span_id),
        "sampled": context.trace_flags.sampled,
        "parent": span.parent and (span.parent.trace_id, span.parent.span_id),
        "kind": span.kind,
        "times": (span.start_time, span.end_time),
        "attributes": dict(span.attributes or {}),
        "events": [(e.name, e.timestamp, dict(e.attributes or {})) for e in span.events],
        "links": [(link.context.span_id, dict(link.attributes or {})) for link in span.links],
        "status": (span.status.status_code, span.status.description),
        "resource": dict(span.resource.attributes),
        "scope": (scope.name, scope.version),
    }


def test_rebuilt_spans_pass_the_stock_encoders() -> None:
    """The SDK's JSON and the OTLP encoder accept the rebuilt spans."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # noqa: PLC0415
        encode_spans,
    )

    through = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(LifecycleSpanProcessor(StockSpanExporterAdapter(through)))
    make_spans(provider)
    assert provider.force_flush()
    spans = through.get_finished_spans()
    assert '"no luck"' in spans[0].to_json()
    encoded = encode_spans(spans)
    assert len(encoded.resource_spans[0].scope_spans[0].spans) == 2
    provider.shutdown()


def test_adapter_ignores_records_that_are_not_final() -> None:
    """Starts, updates and logs never reach a stock exporter."""
    through = InMemorySpanExporter()
    adapter = StockSpanExporterAdapter(through)
    for record in (start(), start()._replace(phase="update"), log(), end()):
        adapter.export(record)
    assert adapter.force_flush(10_000)
    assert [span.name for span in through.get_finished_spans()] == ["load"]
    adapter.shutdown()


def test_adapter_after_shutdown_drops_and_counts() -> None:
    """Spans after shutdown are counted and do not reach the exporter."""
    through = InMemorySpanExporter()
    adapter = StockSpanExporterAdapter(through)
    adapter.shutdown()
    counted = Counted()
    adapter.export(end())
    adapter.shutdown()
    assert adapter.force_flush(100)
    assert counted("stock.closed") == 1
    assert through.get_finished_spans() == ()


class HangingSpanExporter(SpanExporter):
    """A stock exporter whose destination does not answer."""

    def __init__(self) -> None:
        self.hanging = Hanging()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hang until released."""
        self.hanging.released.wait()
        return SpanExportResult.SUCCESS


def test_adapter_keeps_its_timeouts() -> None:
    """The SDK's flush ignores its timeout; the adapter keeps it, and that of shutdown."""
    exporter = HangingSpanExporter()
    adapter = StockSpanExporterAdapter(exporter, shutdown_seconds=0.2)
    adapter.export(end())
    began = time.monotonic()
    try:
        assert not adapter.force_flush(200)
        adapter.shutdown()
        assert time.monotonic() - began < 10
    finally:
        exporter.hanging.released.set()


def test_span_that_cannot_be_exported_affects_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    """If one record fails, so does the batch, but the others are exported."""

    class Picky(Noting):
        def export(self, record: object) -> None:
            super().export(record)  # type: ignore[arg-type]
            if len(self.records) == 1:
                raise OSError("not this one")

    inner = Picky()
    exporter = RecordSpanExporter(inner)
    seen = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    make_spans(provider)
    spans = seen.get_finished_spans()
    assert exporter.export(spans) is SpanExportResult.FAILURE
    assert len(inner.records) == 2
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    assert "a span is lost: OSError: not this one" in capfd.readouterr().err


def test_record_span_exporter_after_shutdown_fails() -> None:
    """After shutdown a batch is refused, and the exporter inside was shut down once."""
    inner = Noting()
    exporter = RecordSpanExporter(inner)
    assert exporter.force_flush(55)
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert (inner.flushes, inner.shutdowns) == ([55], 1)


def test_spoilt_exporter_in_a_stock_processor_does_not_reach_the_program() -> None:
    """If our exporter raises, the batch fails, and no exception reaches the program."""
    provider = TracerProvider()
    exporter = RecordSpanExporter(Spoilt())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("t").start_span("s").end()
    assert not exporter.force_flush(100)
    provider.shutdown()
