"""Whatever is received, nothing but `MalformedError` is raised, and the work is bounded."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from benchmarks.hostile_bodies import field
from otel_ext.record.schema.validation import validate_line
from otel_ext.server.ingest.lines import read_lines
from otel_ext.server.ingest.otlp.logs import read_logs, read_logs_json
from otel_ext.server.ingest.otlp.traces import read_traces, read_traces_json
from otel_ext.server.ingest.result import MalformedError
from tests.examples import examples
from tests.formats.test_bad_parts import mutated
from tests.server.ingest.otlp_requests import (
    as_json,
    contents,
    key_values,
    log_record,
    logs_request,
    numbers,
    span,
    spans_request,
)
from tests.server.ingest.test_traces import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.server.ingest.result import Ingested

SCOPE = InstrumentationScope(name="lib", attributes=key_values({"otel_ext.process": "p-1"}))
RESOURCE = {"service.name": "shop", "process.pid": 7}
SPANS = spans_request([EVERYTHING, span(end_time_unix_nano=0)], RESOURCE, SCOPE)
LOG = log_record(
    trace_id=bytes(range(16)),
    span_id=bytes(range(8)),
    event_name="otel_ext.span.start",
    body=key_values({"a": "work.start"})[0].value,
    attributes=key_values(
        {
            "otel_ext.kind": "span",
            "otel_ext.phase": "start",
            "otel_ext.process": "p-1",
            "otel_ext.seq": 5,
            "otel_ext.span.links": ["0" * 32],
            "otel_ext.stack": ["x"],
        }
    ),
)
LOGS = logs_request([LOG, LogRecord()], RESOURCE, SCOPE)
READERS: dict[str, Callable[[bytes], Ingested]] = {
    "traces": lambda body: read_traces(body, numbers()),
    "traces in JSON": lambda body: read_traces_json(body, numbers()),
    "logs": lambda body: read_logs(body, numbers()),
    "logs in JSON": lambda body: read_logs_json(body, numbers()),
    "lines": read_lines,
}
BODIES = {
    "traces": SPANS.SerializeToString(),
    "traces in JSON": as_json(SPANS),
    "logs": LOGS.SerializeToString(),
    "logs in JSON": as_json(LOGS),
    "lines": read_traces(SPANS.SerializeToString(), numbers()).lines,
}
MIB = 1 << 20


def read(name: str, body: bytes) -> Ingested | None:
    """Return what a reader makes of a body; None if it is refused. All lines must be valid."""
    try:
        result = READERS[name](body)
    except MalformedError as error:
        refusal = str(error)
    else:
        return checked(name, result)
    assert 0 < len(refusal) < 300
    return None


def checked(name: str, result: Ingested) -> Ingested:
    """Return what was made of a body, after checking that it is what it says."""
    for line in result.lines.splitlines(keepends=True):
        assert name == "lines" or validate_line(line) == []
    assert bool(result.rejected) <= bool(result.reasons)
    result.reasons.encode()
    assert len(result.reasons) < 3_000
    return result


@pytest.mark.parametrize("name", READERS)
@examples(5)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 1_500), st.integers(0, 9), st.binary(max_size=9)), max_size=6
    )
)
def test_mutated_bodies_are_read_or_refused(
    name: str, changes: list[tuple[int, int, bytes]]
) -> None:
    """Bytes changed, removed and added anywhere."""
    body = BODIES[name]
    for at, removed, added in changes:
        at %= len(body) + 1  # noqa: PLW2901 - a place in the body
        body = body[:at] + added + body[at + removed :]
    read(name, body)


@pytest.mark.parametrize("name", READERS)
@examples(3)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, body: bytes) -> None:
    """Not even near to a request."""
    read(name, body)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kept", range(0, 100, 7))
def test_torn_bodies_are_read_or_refused(name: str, kept: int) -> None:
    """A connection may break; what is read is whole."""
    body = BODIES[name]
    result = read(name, body[: len(body) * kept // 100])
    whole = READERS[name](body)
    assert result is None or result.records <= whole.records


@examples(3)
@given(st.binary(max_size=60) | st.integers(0, 500).map(lambda at: BODIES["traces"][at:]))
def test_what_protobuf_reads_is_read(body: bytes) -> None:
    """With as many spans: only the reader of whole requests refuses more."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return
    scopes = [one for group in request.resource_spans for one in group.scope_spans]
    result = read("traces", body)
    if result is not None:  # a group, which no writer of OTLP uses
        assert result.records + result.rejected == sum(len(one.spans) for one in scopes)


@pytest.mark.parametrize("name", ["traces in JSON", "logs in JSON"])
@examples(4)
@given(data=st.data())
def test_json_with_other_values_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Values of other types in any place, or none, lone surrogates and NaN included."""
    document = data.draw(mutated(json.loads(BODIES[name])))
    read(name, json.dumps(document).encode())


@pytest.mark.parametrize("depth", [200, 1_100, 5_000, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_deep_json_is_refused(depth: int, pair: str) -> None:
    """At any depth, without a RecursionError."""
    opening = pair[0] if pair == "[]" else '{"a":'
    deep = opening * depth + "1" + pair[1] * depth
    for name in ("traces in JSON", "logs in JSON"):
        assert read(name, deep.encode()) is None
        assert read(name, f'{{"resourceSpans":[],"x":{deep}}}'.encode()) is None
        assert read(name, (opening * depth).encode()) is None
    result = read("lines", deep.encode())
    assert result is not None
    assert (result.records, result.rejected) == (0, 1)


def test_deep_protobuf_costs_its_span() -> None:
    """The library accepts a hundred levels."""
    value = key_values({"a": "x"})[0].value.SerializeToString()
    for _ in range(5_000):
        for number in (1, 5):  # the values of a list, and a list as a value
            value = field(number, value)
    bad = span(name="bad").SerializeToString() + field(9, field(1, b"a") + field(2, value))
    good = spans_request([span()]).resource_spans[0].scope_spans[0].SerializeToString()
    result = read("traces", field(1, field(2, field(2, bad) + good)))
    assert result is not None
    assert (result.records, result.rejected) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceSpans": 5}',
        '{"resource_spans": {}}',
        '{"resourceLogs": "x"}',
        '{"resource_logs": true}',
        "[]",
        "5",
        "null",
        "",
        "{",
        '{"a": 1} {}',
        '{"a": ' + "9" * 5_000 + "}",
        '{"resourceSpans": [' + "9" * 5_000 + "]}",
        '{"a": "\x00"}',
    ],
)
def test_json_that_is_not_a_request_is_refused(text: str) -> None:
    """With a message; digits without end included."""
    names = ("traces in JSON", "logs in JSON")
    results = [read(name, text.encode()) for name in names]
    assert None in results
    assert all(result is None or not result.records for result in results)


@pytest.mark.parametrize(
    "value",
    [
        {"doubleValue": "NaN"},
        {"doubleValue": float("nan")},
        {"intValue": "9" * 20},
        {"intValue": "9" * 400},
        {"intValue": 10**300},
        {"stringValue": "\ud800"},
        {"stringValue": {"a": ["b"]}},
        {"bytesValue": 5},
        {"kvlistValue": {"values": [{"key": [5], "value": 5}]}},
        {"arrayValue": {"values": "x"}},
        5,
        "x",
    ],
)
def test_a_hostile_value_loses_only_itself(value: Any) -> None:  # noqa: ANN401 - any JSON
    """The span, the log and their other attributes stay."""
    pairs = [{"key": "bad", "value": value}, {"key": "\udc80", "value": {"intValue": "1"}}]
    for name, lists in (
        ("traces in JSON", ("resourceSpans", "scopeSpans", "spans")),
        ("logs in JSON", ("resourceLogs", "scopeLogs", "logRecords")),
    ):
        document = json.loads(BODIES[name])
        record = document[lists[0]][0][lists[1]][0][lists[2]][0]
        record["attributes"] = [*pairs, *record["attributes"]]
        record["name"] = "\ud800"
        result = read(name, json.dumps(document).encode())
        assert result is not None
        assert (len(contents(result)), result.rejected) == (2, 0)
        assert contents(result)[0]["\ufffd"] == 1


def peak_of(name: str, body: bytes) -> float:
    """Return how many MiB of Python's objects reading a body takes at most."""
    tracemalloc.start()
    try:
        read(name, body)
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def wrapped(record: bytes, count: int) -> bytes:
    """Return a request of equal records in protobuf."""
    return field(1, field(2, field(2, record) * count))


# Measuring coverage takes most of the time of the next ones.
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("traces", b"\x0a\x00" * MIB),
        ("traces", wrapped(b"", MIB)),
        ("traces", wrapped(b"\x4a\x00" * MIB, 1)),
        ("logs", wrapped(b"\x32\x00" * MIB, 1)),
        ("traces", b"\x18\x00" * MIB),
        ("traces in JSON", b'{"resourceSpans":[' + b"[]," * MIB + b"1]}"),
        ("traces in JSON", b"[" * 2 * MIB),
        ("traces in JSON", b'"' + rb"\"" * MIB),
        ("logs in JSON", b'{"a":"' + rb"\"" * MIB + b'"}'),
        ("lines", b"\n" * 2 * MIB),
        ("lines", b"{}\n" * 30_000),
        ("lines", b"[" * 2 * MIB),
    ],
    ids=[
        *("resources", "spans", "attributes", "attributes of logs", "unknown fields"),
        *("lists", "brackets", "quotes", "quotes in JSON", "empty lines", "short lines", "line"),
    ],
)
def test_counts_without_end_take_little_memory(name: str, body: bytes) -> None:
    """Two bytes of a body must not become a hundred, nor time that grows with its square."""
    assert peak_of(name, body) < 64
