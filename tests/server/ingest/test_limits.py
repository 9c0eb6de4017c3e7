"""What exceeds a limit is cut or rejected, and counted; the rest is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.server.ingest.limits import IngestLimits
from otel_ext.server.ingest.otlp.logs import read_logs, read_logs_json
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from otel_ext.server.ingest.result import MalformedError
from tests.server.ingest.otlp_requests import (
    NOW,
    SPAN,
    TRACE,
    any_value,
    as_json,
    contents,
    key_values,
    logs_request,
    numbers,
    span,
    spans_request,
)

FEW = IngestLimits(
    records=3,
    attributes=2,
    events=3,
    links=3,
    values=200,
    shared_values=200,
    json_values=200,
    json_depth=30,
)


def both(*spans: Span, limits: IngestLimits = FEW, **shared: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - resource and scope
    """Return the records of spans, which are the same in protobuf and in JSON."""
    request = spans_request(spans, **shared)
    found = contents(read_traces(request.SerializeToString(), numbers(), limits))
    again = contents(read_traces_json(as_json(request), numbers(), limits))
    assert found == again
    return found


def test_spans_beyond_the_limit_are_rejected() -> None:
    """And counted, also if they are of several scopes."""
    request = spans_request([span(), span()])
    request.MergeFrom(spans_request([span(name=f"{n}") for n in range(4)]))
    for result in (
        read_traces(request.SerializeToString(), numbers(), FEW),
        read_traces_json(as_json(request), numbers(), FEW),
    ):
        events = [one["__tracer_meta__"]["event"] for one in contents(result)]
        assert events == ["work.end", "work.end", "0.end"]
        assert (result.records, result.rejected) == (3, 3)
        assert result.reasons == "a request may have 3 spans"


def test_log_records_beyond_the_limit_are_rejected() -> None:
    """Likewise."""
    request = logs_request([LogRecord() for _ in range(5)])
    for result in (
        read_logs(request.SerializeToString(), numbers(), FEW),
        read_logs_json(as_json(request), numbers(), FEW),
    ):
        assert (result.records, result.rejected) == (3, 2)
        assert result.reasons == "a request may have 3 log records"


def test_far_too_many_spans_are_refused() -> None:
    """Without counting them, which takes time as well."""
    body = spans_request([span()] * 31).SerializeToString()
    with pytest.raises(MalformedError, match="too many parts"):
        read_traces(body, numbers(), FEW)


def test_attributes_beyond_the_limit_are_left_out() -> None:
    """Of spans, events and links; a note counts them."""
    many = {"a": 1, "b": 2, "c": 3, "…": 4}
    event = Span.Event(name="e", time_unix_nano=NOW, attributes=key_values(many))
    link = Span.Link(trace_id=TRACE, span_id=SPAN, attributes=key_values(many))
    (found,) = both(span(attributes=many, events=[event], links=[link]))
    meta = found.pop("__tracer_meta__")
    cut = {"a": 1, "b": 2, "…": "<left out: 2 keys>"}
    assert found == cut
    assert meta["events"][0]["attributes"] == meta["links"][0]["attributes"] == cut


def test_events_and_links_beyond_the_limit_are_counted() -> None:
    """By one of them at the end, as in any record."""
    events = [Span.Event(name=f"{n}", time_unix_nano=NOW + n * 1_000) for n in range(5)]
    links = [Span.Link(trace_id=TRACE, span_id=b"%08d" % n) for n in range(5)]
    (found,) = both(span(events=events, links=links))
    meta = found["__tracer_meta__"]
    assert [one["name"] for one in meta["events"]] == ["0", "1", "…"]
    assert meta["events"][2]["timestamp"].endswith("00.000002Z")
    assert meta["events"][2]["attributes"] == {"…": "<left out: 3 events>"}
    assert [one["span_id"][-2:] for one in meta["links"]] == ["30", "31", "32"]
    assert meta["links"][2]["attributes"] == {"…": "<left out: 3 links>"}


def test_a_text_is_cut() -> None:
    """At 65,536 characters, as in any record."""
    (found,) = both(span(attributes={"text": "x" * 70_000, "raw": b"x" * 70_000}))
    assert found["text"].endswith("…[+4504 characters]")
    assert len(found["raw"]) <= 65_536


def test_a_record_that_is_too_large_is_rejected() -> None:
    """Others are kept; one that just fits is cut to the size of a line."""
    limits = IngestLimits(record_bytes=2 * MAX_LINE_BYTES)
    text = "x" * 60_000
    large = span(name="large", attributes={f"k{n}": text for n in range(30)})
    larger = span(name="larger", attributes={f"k{n}": text for n in range(40)})
    request = spans_request([larger, large, span()])
    result = read_traces(request.SerializeToString(), numbers(), limits)
    first, second = contents(result)
    assert first["__tracer_meta__"]["event"] == "large.end"
    assert "…" in first or "left out" in first["k29"]
    assert second["__tracer_meta__"]["event"] == "work.end"
    assert result.rejected == 1
    assert "bytes, more than 2097152" in result.reasons
    assert max(map(len, result.lines.splitlines())) < MAX_LINE_BYTES


def test_a_line_is_never_too_long() -> None:
    """A record that has no room beside its data is rejected."""
    text = "\x01" * 65_000
    bad = span(name=text, status=Span().status)
    bad.status.message = text
    large = key_values({"a": "\x01" * 40_000})
    bad.events.append(Span.Event(name="e", time_unix_nano=NOW, attributes=large))
    bad.links.append(Span.Link(trace_id=TRACE, span_id=SPAN, attributes=large))
    result = read_traces(spans_request([bad, span()]).SerializeToString(), numbers())
    assert (result.records, result.rejected) == (1, 1)
    assert "bytes, more than 1048576" in result.reasons


@pytest.mark.parametrize(
    "value",
    [
        [1] * 250,
        {f"{n}": n for n in range(250)},
        [[[1] * 60] * 4],
        AnyValue(array_value=ArrayValue(values=[AnyValue()] * 250)),
    ],
)
def test_too_many_values_are_refused(value: object) -> None:
    """In protobuf the span and those after it; in JSON the request, before it is parsed."""
    bad = span(name="bad", attributes={"a": value})
    request = spans_request([span(name="one"), bad, span(name="two", attributes={"b": 1})])
    result = read_traces(request.SerializeToString(), numbers(), FEW)
    assert [one["__tracer_meta__"]["event"] for one in contents(result)] == ["one.end"]
    assert result.rejected == 2
    assert "the request has more than 200 values" in result.reasons
    with pytest.raises(MalformedError, match="more than 200 brackets and commas"):
        read_traces_json(as_json(request), numbers(), FEW)


def test_far_too_many_lists_of_spans_are_refused() -> None:
    """In JSON too, with or without spans in them."""
    limits = IngestLimits(records=3)
    empty = "{}," * 40 + "{}"
    for many in (empty, f'{{"scopeSpans": [{empty}]}}'):
        with pytest.raises(MalformedError, match="too many parts"):
            read_traces_json(f'{{"resourceSpans": [{many}]}}'.encode(), numbers(), limits)


def test_many_events_and_links_are_values_too() -> None:
    """A span of them costs no more time than one of attributes."""
    for many in (
        span(events=[Span.Event()] * 250),
        span(links=[Span.Link()] * 250),
        span(events=[Span.Event(time_unix_nano=5, attributes=key_values({"a": 1}))] * 150),
    ):
        result = read_traces(spans_request([many]).SerializeToString(), numbers(), FEW)
        assert (result.records, result.rejected) == (0, 1)


def test_values_of_resources_and_scopes_count_too() -> None:
    """Without them, their records are rejected."""
    many = {f"{n}": n for n in range(250)}
    scope = InstrumentationScope(name="x", attributes=key_values(many))
    spans = [span(), span()]
    for request in (spans_request(spans, many), spans_request(spans, scope=scope)):
        result = read_traces(request.SerializeToString(), numbers(), FEW)
        assert (result.records, result.rejected) == (0, 2)
    for logs in (logs_request([LogRecord()], many), logs_request([LogRecord()], scope=scope)):
        assert read_logs(logs.SerializeToString(), numbers(), FEW).rejected == 1


def test_a_long_scope_or_call_site_does_not_grow_with_the_records() -> None:
    """Each record repeats them: a scope is cut, a call site is an attribute only."""
    scope = InstrumentationScope(name="x" * 100_000, version="y" * 100_000)
    site = {"code.file.path": "f" * 50_000, "code.line.number": 7}
    found = both(*[span(attributes=site)] * 3, scope=scope)
    for one in found:
        meta = one["__tracer_meta__"]
        assert meta["scope"] == {"name": "x" * 1_024}
        assert (meta["file"], len(one["code.file.path"])) == ("<unknown>", 50_000)


def test_json_may_nest_within_the_limit() -> None:
    """Brackets in texts do not count."""
    limits, deep = IngestLimits(json_depth=30), "[" * 500
    value = any_value([[[[deep]]]])
    request = spans_request([span(attributes={"a": value, "b": '"' + deep})])
    assert contents(read_traces_json(as_json(request), numbers(), limits))[0]["a"] == [[[[deep]]]]
    for _ in range(5):
        value = any_value([value])
    body = as_json(spans_request([span(attributes={"a": value})]))
    with pytest.raises(MalformedError, match="nests deeper than 30 levels"):
        read_traces_json(body, numbers(), limits)
    assert contents(read_traces_json(body, numbers()))


def test_what_our_exporter_sends_at_most_is_within_the_limit_of_json() -> None:
    """It cuts values at 24 levels."""
    value: object = "x"
    for _ in range(24):
        value = {"k": value}
    body = as_json(logs_request([LogRecord(attributes=key_values({"a": value}))]))
    (found,) = contents(read_logs_json(body, numbers()))
    assert "<too deep>" not in json.dumps(found)
