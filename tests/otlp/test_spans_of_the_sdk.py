"""What the SDK makes of a program's spans arrives as the stock exporter sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import SPANS, RequestCodec
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.testing import RecordCapture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Record

RESOURCE = Resource({"service.name": "shop", "ports": (1, 2)}, "https://schemas.example/1.1")
FEW = SpanLimits(
    max_span_attributes=2,
    max_events=1,
    max_links=1,
    max_event_attributes=1,
    max_link_attributes=1,
    max_attribute_length=5,
)
SCOPES = [("shop", "1.2", "https://schemas.example/1.0"), ("shop", None, None), ("", "", "")]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(TEXTS, max_size=3)
    | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)
)
ATTRIBUTES = st.dictionaries(TEXTS.filter(bool), VALUES, max_size=4)
STATES = st.dictionaries(
    st.from_regex("[a-z][a-z0-9]{0,5}", fullmatch=True),
    st.from_regex("[a-z0-9:]{1,9}", fullmatch=True),
    max_size=2,
)


def _context(trace_id: int, span_id: int, state: dict[str, str], remote: bool) -> SpanContext:
    return SpanContext(trace_id, span_id, remote, TraceFlags(1), TraceState([*state.items()]))


CONTEXTS = st.builds(
    _context, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), STATES, st.booleans()
)
STATUSES = st.builds(Status, st.just(StatusCode.ERROR), st.none() | TEXTS) | st.sampled_from(
    [Status(StatusCode.UNSET), Status(StatusCode.OK)]
)
SPAN = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "parent": st.none() | CONTEXTS,
        "kind": st.sampled_from(list(SpanKind)),
        "attributes": ATTRIBUTES,
        "links": st.lists(st.tuples(CONTEXTS, ATTRIBUTES), max_size=2),
        "events": st.lists(st.tuples(TEXTS, ATTRIBUTES, st.integers(1, 2**63)), max_size=2),
        "status": STATUSES,
        "scope": st.sampled_from(SCOPES),
        "times": st.tuples(st.integers(1, 2**63), st.integers(1, 2**63)),
    }
)
REMOTE = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1))


def recorded(made: Mapping[str, Any], limits: SpanLimits) -> tuple[Record, bytes]:
    """Make a span; return its record, and the stock exporter's request."""
    provider = TracerProvider(resource=RESOURCE, span_limits=limits, shutdown_on_exit=False)
    capture, memory = RecordCapture(), InMemorySpanExporter()
    provider.add_span_processor(LifecycleSpanProcessor(capture))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    parent = made["parent"]
    span = provider.get_tracer(*made["scope"]).start_span(
        made["name"],
        None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
        made["kind"],
        made["attributes"],
        [Link(*one) for one in made["links"]],
        made["times"][0],
    )
    for event in made["events"]:
        span.add_event(*event)
    span.set_status(made["status"])
    span.end(made["times"][1])
    (record,) = [one for one in capture.records if one.phase == "end"]
    provider.shutdown()
    return record, encode_spans(memory.get_finished_spans()).SerializeToString()


def decoded(body: bytes) -> ExportTraceServiceRequest:
    """Return a request without what only ours has: a scope's process, and a link's trace state."""
    request = ExportTraceServiceRequest.FromString(body)
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            of_scope.scope.ClearField("attributes")
            for link in [one for span in of_scope.spans for one in span.links]:
                link.ClearField("trace_state")
    return request


@pytest.mark.parametrize("limits", [SpanLimits(), FEW], ids=["usual", "few"])
@given(SPAN)
@example(
    {
        "name": "GET",
        "parent": REMOTE,
        "kind": SpanKind.SERVER,
        "attributes": {"a": "long text", "b": 1, "c": [1, 2]},
        "links": [(REMOTE, {"x": 1, "y": 2}), (REMOTE, {})],
        "events": [("e", {"x": 1, "y": 2}, 5), ("f", {}, 6)],
        "status": Status(StatusCode.ERROR, "no"),
        "scope": SCOPES[0],
        "times": (1, 2),
    }
)
def test_any_span_arrives_as_the_stock_exporter_sends_it(
    limits: SpanLimits, made: Mapping[str, Any]
) -> None:
    """Also trace state, remote parents, schema URLs, and counts of what limits have left out."""
    record, stock = recorded(made, limits)
    request = RequestCodec(ENCODINGS["events"]).encode(SPANS, [record])
    assert request is not None
    assert decoded(request.body) == decoded(stock)
    line = encode_line(record)
    assert encode_line(decode_line(line)) == line
