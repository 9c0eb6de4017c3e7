"""Spans in protobuf become the records that the reader of OTLP/JSON makes of them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_ext.formats.read.imported import Importer, Rejected
from otel_ext.formats.read.otlp import read_otlp
from otel_ext.record.codec import encode_line
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from tests.examples import examples
from tests.server.ingest.otlp_requests import (
    NOW,
    SPAN,
    SPAN_REQUESTS,
    TRACE,
    any_value,
    as_json,
    contents,
    key_values,
    numbers,
    span,
    spans_request,
)

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue as Value

EVERYTHING = span(
    parent_span_id=bytes(range(1, 9)),
    kind=3,
    attributes={
        "text": "Ünn",
        "n": -5,
        "yes": True,
        "ratio": 0.5,
        "nan": math.nan,
        "inf": -math.inf,
        "raw": b"\x00\xff",
        "list": [1, "a", [None, b"x"]],
        "object": {"a": {"b": [2.5]}},
        "none": None,
        "__tracer_meta__": 1,
        "control": "\x9b\x7f",
        "code.file.path": "a.py",
        "code.line.number": 7,
        "code.function.name": "f",
    },
    status=Status(code=Status.STATUS_CODE_ERROR, message="refused"),
    events=[
        Span.Event(name="tried", time_unix_nano=NOW + 1, attributes=key_values({"n": [1]})),
        Span.Event(name="when"),
    ],
    links=[
        Span.Link(trace_id=TRACE, span_id=SPAN, attributes=key_values({"why": "x"})),
        Span.Link(trace_id=b"x" * 17, span_id=SPAN),
        Span.Link(),
    ],
)


def without_numbers(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the records in lines without their numbers."""
    found = [json.loads(line) for line in lines]
    for one in found:
        del one["__tracer_meta__"]["seq"]
    return found


def assert_same(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """Check that the request in both forms becomes what the reader makes of it; return that."""
    text = as_json(request)
    read = list(read_otlp(json.loads(text), Importer(keeps_ids=True)))
    expected = [encode_line(one) for one in read if not isinstance(one, Rejected)]
    reasons = sum(isinstance(one, Rejected) for one in read)
    for result in (
        read_traces(request.SerializeToString(), numbers()),
        read_traces_json(text, numbers()),
    ):
        assert without_numbers(result.lines.splitlines()) == without_numbers(expected)
        assert bool(result.reasons) == bool(reasons)
        spans = sum(
            len(one.spans)
            for of_resource in request.resource_spans
            for one in of_resource.scope_spans
        )
        assert result.records + result.rejected == spans
        contents(result)
    return contents(read_traces(request.SerializeToString(), numbers()))


@example(spans_request([EVERYTHING, span(end_time_unix_nano=0)], {"service.name": "shop"}))
@examples(1)
@given(SPAN_REQUESTS)
def test_protobuf_and_json_are_the_same(request: ExportTraceServiceRequest) -> None:
    """Each span becomes the same record, or is rejected; all lines are valid."""
    assert_same(request)


def test_all_of_a_span_is_in_its_record() -> None:
    """Every kind of value, call site, status, events and links; what is not valid is left out."""
    (found,) = assert_same(spans_request([EVERYTHING], scope=InstrumentationScope(name="lib")))
    meta = found.pop("__tracer_meta__")
    assert (meta["event"], meta["span_kind"], meta["scope"]) == (
        "work.end",
        "client",
        {"name": "lib"},
    )
    assert (meta["file"], meta["line"], meta["function"]) == ("a.py", 7, "f")
    assert meta["status"] == {"code": "error", "description": "refused"}
    assert meta["duration_ns"] == 5_000
    assert [one["name"] for one in meta["events"]] == ["tried"]
    assert [one["attributes"] for one in meta["links"]] == [{"why": "x"}]
    assert (found["nan"], found["inf"], found["raw"]) == ("NaN", "-Infinity", "AP8=")
    assert (found["list"], found["object"]) == ([1, "a", [None, "eA=="]], {"a": {"b": [2.5]}})
    assert (found["none"], found["user.__tracer_meta__"]) == (None, 1)


@pytest.mark.parametrize("size", [100, 20_000, 70_000])
def test_spans_of_any_size_are_the_same(size: int) -> None:
    """Small ones take a shorter way than large ones."""
    text = "x" * size + "\x07"
    events = [Span.Event(name="e", time_unix_nano=5, attributes=key_values({"t": text}))]
    assert_same(spans_request([span(name=text, attributes={"t": text}, events=events)]))


def test_a_span_without_an_end_is_open() -> None:
    """Its record is a start, which a later end replaces."""
    (found,) = assert_same(spans_request([span(end_time_unix_nano=0, attributes={"a": 1})]))
    meta = found["__tracer_meta__"]
    assert (meta["phase"], meta["provisional"], found["a"]) == ("start", True, 1)


def test_an_end_before_the_start_takes_no_time() -> None:
    """Clocks are set back."""
    (found,) = assert_same(spans_request([span(end_time_unix_nano=NOW - 5)]))
    assert found["__tracer_meta__"]["duration_ns"] == 0


def test_the_cause_of_an_abandoned_span_is_metadata() -> None:
    """Only of an ended one, and only one of the causes."""
    causes = ["process-died", "lazy"]
    spans = [span(attributes={"otel_ext.abandoned": cause}) for cause in causes]
    first, second = assert_same(spans_request(spans))
    assert first["__tracer_meta__"]["abandoned"] == "process-died"
    assert "otel_ext.abandoned" not in first
    assert second["otel_ext.abandoned"] == "lazy"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b""}, "it has no ids"),
        ({"span_id": bytes(8)}, "it has no ids"),
        ({"trace_id": b"x" * 17}, "is not an id"),
        ({"parent_span_id": b"x" * 9}, "is not an id"),
        ({"start_time_unix_nano": 0}, "it has no start"),
    ],
)
def test_a_bad_span_costs_only_itself(change: dict[str, Any], reason: str) -> None:
    """It is counted and named; those around it are kept."""
    request = spans_request([span(name="one"), span(**{"name": "bad", **change}), span(name="two")])
    assert [one["__tracer_meta__"]["event"] for one in assert_same(request)] == [
        "one.end",
        "two.end",
    ]
    result = read_traces(request.SerializeToString(), numbers())
    assert (result.records, result.rejected) == (2, 1)
    assert result.reasons.startswith("the span 'bad': ")
    assert reason in result.reasons


def test_short_ids_have_zeros_before_them() -> None:
    """As an importer of other formats does."""
    (found,) = assert_same(spans_request([span(trace_id=b"\x0a\xbc", span_id=b"\x01" + bytes(3))]))
    meta = found["__tracer_meta__"]
    assert (meta["trace_id"], meta["span_id"]) == (f"{0xABC:032x}", f"{0x01000000:016x}")


def test_of_a_repeated_attribute_the_last_one_counts() -> None:
    """At the place of the first one."""
    pairs = [*key_values({"a": 1, "b": 2}), *key_values({"a": 3}), KeyValue()]
    (found,) = assert_same(spans_request([span(attributes=pairs)]))
    assert list(found.items())[1:] == [("a", 3), ("b", 2), ("", None)]


def nested(levels: int) -> Value:
    """Return a value inside lists and objects."""
    value = any_value("x")
    for number in range(levels):
        value = any_value([value] if number % 2 else {"k": value})
    return value


@pytest.mark.parametrize(("levels", "is_cut"), [(31, False), (32, False), (33, True)])
def test_deep_values_are_cut(levels: int, is_cut: bool) -> None:
    """Beyond 32 levels; the rest of the span stays."""
    (found,) = assert_same(spans_request([span(attributes={"deep": nested(levels), "a": 1})]))
    assert (("<too deep>" in json.dumps(found)), found["a"]) == (is_cut, 1)


def test_each_kind_of_value_of_the_protocol_is_known() -> None:
    """So that a new one is not overlooked."""
    kinds = {field.name for field in AnyValue.DESCRIPTOR.oneofs_by_name["value"].fields}
    known = {f"{name}_value" for name in ("string", "bool", "int", "double", "bytes")}
    assert kinds - known <= {"array_value", "kvlist_value", "string_value_strindex"}


def test_a_damaged_text_costs_only_its_span() -> None:
    """Protobuf refuses text that is not UTF-8; here only the span that has it."""
    body = spans_request([span(name="one"), span(name="GET"), span(name="two")]).SerializeToString()
    result = read_traces(body.replace(b"GET", b"G\xffT"), numbers())
    assert [one["__tracer_meta__"]["event"] for one in contents(result)] == ["one.end", "two.end"]
    assert (result.rejected, result.reasons) == (1, "a span: it is not valid protobuf")


def test_a_damaged_resource_or_scope_costs_no_span() -> None:
    """It is taken for an empty one."""
    body = spans_request(
        [span()], {"a": "RES"}, InstrumentationScope(name="SCO")
    ).SerializeToString()
    result = read_traces(body.replace(b"RES", b"R\xffS").replace(b"SCO", b"S\xffO"), numbers())
    assert len(contents(result)) == 1
    assert result.reasons == "a scope is not valid protobuf; a resource is not valid protobuf"


def test_parts_of_a_message_that_follow_each_other_are_one() -> None:
    """As protobuf has it: a resource may come in two parts, after the spans too."""
    one = spans_request([span(name="one")], {"a": "1"}).resource_spans[0].SerializeToString()
    two = spans_request([span(name="two")], {"b": "2"}).resource_spans[0].SerializeToString()
    size = len(one) + len(two)
    body = b"\x0a" + bytes([size & 0x7F | 0x80, size >> 7]) + one + two
    assert len(assert_same(ExportTraceServiceRequest.FromString(body))) == 2
    assert len(contents(read_traces(body, numbers()))) == 2
    (start, *_) = read_traces(body, numbers()).lines.splitlines()
    assert json.loads(start)["__tracer_meta__"]["resource"] == {"a": "1", "b": "2"}
