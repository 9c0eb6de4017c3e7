"""Records that arrive through a real collector, over HTTP and over gRPC."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from otel_ext.record.model import Record
from otel_ext.runtime.process import incarnation
from tests.otlp.providers import RESOURCE, sending
from tests.programs import wait_until
from tests.sdk import SDK

if TYPE_CHECKING:
    from tests.otlp.sink import Sink


def test_a_span_arrives_once_with_all_it_holds(sink: Sink) -> None:
    """An ended span is an ordinary span: ids, times, kind, status, resource, events."""
    with sending() as (provider, _):
        tracer = provider.get_tracer("shop.orders", "1.2")
        linked = tracer.start_span("before")
        linked.end()
        with tracer.start_as_current_span("order", kind=SpanKind.SERVER) as parent:
            span = tracer.start_span(
                "pay",
                attributes={"who": "Ünn", "n": 3, "ok": True, "sizes": (1, 2), "raw": b"\x00\xff"},
                links=[Link(linked.get_span_context())],
            )
            span.add_event("tried", {"times": 2})
            span.set_status(Status(StatusCode.ERROR, "no money"))
            span.end()
        assert provider.force_flush(10_000)
    wait_until(lambda: len(sink.spans) >= 3, "the spans arrive")
    (order,), (pay,) = sink.named("order"), sink.named("pay")
    context = parent.get_span_context()
    assert order.trace_id == f"{context.trace_id:032x}"
    assert (order.span_id, order.parent_span_id) == (f"{context.span_id:016x}", "")
    assert (order.kind, pay.kind) == (2, 1)
    assert (pay.parent_span_id, pay.trace_id) == (order.span_id, order.trace_id)
    assert pay.start_ns <= pay.end_ns <= order.end_ns
    assert pay.status == 2
    expected = {"who": "Ünn", "n": 3, "ok": True, "sizes": [1, 2], "raw": b"\x00\xff"}
    if SDK < (1, 45):  # earlier releases drop bytes that are not UTF-8 before anyone sees them
        del expected["raw"]
    assert pay.attributes == expected
    assert (pay.events, pay.links) == (["tried"], [sink.named("before")[0].span_id])
    assert (pay.resource, pay.scope) == (RESOURCE, "shop.orders")
    assert len(sink.spans) == 3


def test_the_start_of_a_long_span_arrives_while_it_runs(sink: Sink) -> None:
    """A span that is open longer than the grace sends a log event with its ids."""
    with sending(grace=0.2) as (provider, _):
        tracer = provider.get_tracer("shop.orders")
        with tracer.start_as_current_span("order", attributes={"id": 9}) as span:
            wait_until(lambda: sink.starts("order"), "the start arrives")
            assert not sink.named("order")
        provider.force_flush(10_000)
    (start,) = sink.starts("order")
    context = span.get_span_context()
    assert start.trace_id == f"{context.trace_id:032x}"
    assert start.span_id == f"{context.span_id:016x}"
    assert (start.body, start.severity) == ("order.start", 9)
    assert (start.resource, start.scope) == (RESOURCE, "shop.orders")
    attributes = start.attributes
    assert (attributes["id"], attributes["otel_ext.provisional"], attributes["otel_ext.kind"]) == (
        9,
        True,
        "span",
    )
    assert str(attributes["code.file.path"]).endswith("test_arrival.py")
    assert attributes["thread.name"] == "MainThread"


def test_logs_and_process_records_arrive_as_events(sink: Sink) -> None:
    """A user's log has its level and its span's ids; start and end of the process arrive."""
    with (
        sending() as (provider, exporter),
        provider.get_tracer("t").start_as_current_span("work") as span,
    ):
        context = span.get_span_context()
        process = incarnation.current().process_for(provider.resource)
        log = Record("log", None, "card refused", time.time_ns(), 5, process, level="warning")
        exporter.export(
            log._replace(
                attributes={"card": {"last": 4, "tries": [1, 2]}},
                trace_id=f"{context.trace_id:032x}",
                span_id=f"{context.span_id:016x}",
            )
        )
    wait_until(lambda: sink.of("otel_ext.process.end"), "the last record arrives")
    (event,) = sink.of("otel_ext.log")
    assert (event.body, event.severity, event.severity_text) == ("card refused", 13, "warning")
    assert event.attributes["card"] == {"last": 4, "tries": [1, 2]}
    assert event.span_id == f"{context.span_id:016x}"
    (process_start,) = sink.of("otel_ext.process.start")
    assert process_start.attributes["otel_ext.pid"] == process.pid
    assert process_start.attributes["otel_ext.process"] == event.attributes["otel_ext.process"]
    assert process_start.resource == RESOURCE


def test_spans_of_instrumented_libraries_arrive(sink: Sink) -> None:
    """Spans of contrib instrumentations are sent like any other span, with their parent."""
    with sending() as (provider, _):
        instrumentor = SQLite3Instrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            with provider.get_tracer("t").start_as_current_span("report"):
                connection = sqlite3.connect(":memory:")
                connection.cursor().execute("SELECT 1").fetchall()
                connection.close()
        finally:
            instrumentor.uninstrument()
        assert provider.force_flush(10_000)
    wait_until(lambda: len(sink.spans) >= 2, "the spans arrive")
    (query,) = sink.named("SELECT")
    (report,) = sink.named("report")
    assert query.parent_span_id == report.span_id
    assert query.scope == "opentelemetry.instrumentation.sqlite3"
    assert query.attributes["db.system"] == "sqlite"


def test_sending_makes_no_spans_and_no_records(sink: Sink) -> None:
    """With the HTTP client instrumented, the requests of the exporter are not traced."""
    requests = pytest.importorskip("opentelemetry.instrumentation.requests")
    with sending() as (provider, _):
        instrumentor = requests.RequestsInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            for _ in range(3):
                provider.get_tracer("t").start_span("work").end()
                assert provider.force_flush(10_000)
        finally:
            instrumentor.uninstrument()
    wait_until(lambda: len(sink.named("work")) == 3, "the spans arrive")
    assert {span.name for span in sink.spans} == {"work"}
    assert not sink.starts()


@pytest.mark.parametrize("bad", ["\ud800 surrogate", 2**80, float("nan"), "deep", "x" * 4_194_304])
def test_a_hostile_value_costs_no_other_span(sink: Sink, bad: object) -> None:
    """A record that cannot be encoded as it is loses a value at most; all 512 arrive."""
    value: object = bad
    if bad == "deep":
        for _ in range(10_000):
            value = [value]
    with sending() as (provider, exporter):
        tracer = provider.get_tracer("t")
        for number in range(511):
            tracer.start_span("good", attributes={"n": number}).end()
        process = incarnation.current().process_for(provider.resource)
        name = bad if isinstance(bad, str) and len(bad) < 99 else "bad"
        record = Record("span", "end", name, 20, 1, process, attributes={"v": value})
        exporter.export(record._replace(trace_id="1" * 32, span_id="2" * 16, start_ns=10))
        assert provider.force_flush(20_000)
    wait_until(lambda: len(sink.spans) >= 512, "all spans arrive")
    assert len(sink.named("good")) == 511
    (hostile,) = [span for span in sink.spans if span.span_id == "2" * 16]
    assert "v" in hostile.attributes
