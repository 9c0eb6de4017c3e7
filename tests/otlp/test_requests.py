"""Encoded requests are split, and shown to people, without the records they were made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import RequestCodec
from otel_ext.protocols import Request
from otel_ext.record.model import Process, Record, Scope
from tests.exporters import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

CODEC = RequestCodec(ENCODINGS["events"])
PROCESSES = [Process(f"b0-{n}-1-00000000", resource={"n": n}) for n in range(3)]
SCOPES = [Scope("a"), Scope("b"), None]


def record_of(signal: str, number: int) -> Record:
    """Return a record with one of nine origins."""
    make = samples.end if signal == "spans" else samples.start
    return make(
        f"work {number}", number, process=PROCESSES[number % 3], scope=SCOPES[number // 3 % 3]
    )


def encoded(signal: str, records: Sequence[Record]) -> Request:
    """Return the request with records."""
    made = CODEC.encode(signal, records)
    assert made is not None
    return made


def contents(request: Request) -> list[tuple[str, int, str]]:
    """Return the span id, resource and scope of each record; no group may be empty."""
    found: list[tuple[str, int, str]] = []
    if request.signal == "spans":
        traces = ExportTraceServiceRequest.FromString(request.body)
        for of_resource in traces.resource_spans:
            resource = of_resource.resource.attributes[0].value.int_value
            assert of_resource.scope_spans
            for of_scope in of_resource.scope_spans:
                assert of_scope.spans
                found += [
                    (one.span_id.hex(), resource, of_scope.scope.name) for one in of_scope.spans
                ]
    else:
        logs = ExportLogsServiceRequest.FromString(request.body)
        for of_resource_ in logs.resource_logs:
            resource = of_resource_.resource.attributes[0].value.int_value
            assert of_resource_.scope_logs
            for of_scope_ in of_resource_.scope_logs:
                assert of_scope_.log_records
                found += [
                    (one.span_id.hex(), resource, of_scope_.scope.name)
                    for one in of_scope_.log_records
                ]
    assert len(found) == request.records
    return found


@given(st.sampled_from(["spans", "logs"]), st.lists(st.integers(1, 99), min_size=1, unique=True))
def test_halves_have_all_records(signal: str, numbers: list[int]) -> None:
    """Each record once, with its resource and scope, down to single records."""
    request = encoded(signal, [record_of(signal, number) for number in numbers])
    waiting, single = [request], list[Request]()
    while waiting:
        one = waiting.pop()
        halves = CODEC.split(one)
        if len(halves) == 1:
            single += halves
            continue
        first, second = halves
        assert first.records - second.records in {0, 1}
        assert contents(first) + contents(second) == contents(one)
        waiting += halves
    assert [one.records for one in single] == [1] * len(numbers)
    assert sorted(contents(request)) == sorted(one for each in single for one in contents(each))


@pytest.mark.parametrize("signal", ["spans", "logs"])
def test_joined_requests_have_all_records(signal: str) -> None:
    """Joining undoes a split; the receiver sees one request."""
    request = encoded(signal, [record_of(signal, number) for number in range(1, 12)])
    halves = CODEC.split(request)
    joined = CODEC.join(halves)
    assert joined.records == 11
    assert contents(joined) == contents(request)


@pytest.mark.parametrize("body", [b"\xff\xff", b"", b"{}\n"])
@pytest.mark.parametrize("signal", ["spans", "logs", "another"])
def test_a_body_that_cannot_be_decoded_is_not_split(signal: str, body: bytes) -> None:
    """It stays alone, and people see it in base64 with the reason; nothing raises."""
    request = Request(signal, body, 7)
    assert CODEC.split(request) == (request,)
    shown = json.loads(CODEC.to_json(request))
    assert shown in ({}, {"error": shown.get("error"), "body": shown.get("body")})


def test_a_request_is_shown_as_otlp_json() -> None:
    """In one line, with ids in hex and enums as numbers, as OTLP requires."""
    record = record_of("spans", 5)._replace(
        parent_span_id="00f067aa0ba902b7",
        attributes={"text": "two\nlines", "n": 7, "raw": b"\x00"},
    )
    line = CODEC.to_json(encoded("spans", [record]))
    assert b"\n" not in line
    (span,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["spanId"]) == (record.trace_id, record.span_id)
    assert (span["parentSpanId"], span["kind"]) == (record.parent_span_id, 1)
    assert {pair["key"]: pair["value"] for pair in span["attributes"]} == {
        "text": {"stringValue": "two\nlines"},
        "n": {"intValue": "7"},
        "raw": {"bytesValue": "AA=="},
    }


def test_a_log_is_shown_as_otlp_json() -> None:
    """Likewise."""
    record = record_of("logs", 5)
    (of_resource,) = json.loads(CODEC.to_json(encoded("logs", [record])))["resourceLogs"]
    (log,) = of_resource["scopeLogs"][0]["logRecords"]
    assert (log["traceId"], log["body"]) == (record.trace_id, {"stringValue": "work 5.start"})
