"""OTLP requests of any content, in protobuf and in JSON, and what is read from their lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import LOGS, SPANS, RequestCodec
from otel_ext.protocols import Request
from otel_ext.record.schema.validation import validate_line
from otel_ext.server.ingest.numbers import Numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.server.ingest.result import Ingested

CODEC = RequestCodec(ENCODINGS["events"])
NOW = 1_800_000_000_000_000_000
TRACE, SPAN = bytes(range(16)), bytes(range(8))
_FIELDS: dict[type, str] = {
    str: "string_value",
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
    type(None): "",
}


def numbers() -> Numbers:
    """Return numbers whose clock stands still."""
    return Numbers(clock=lambda: NOW)


def meta_of(line: bytes) -> dict[str, Any]:
    """Return the metadata of a line."""
    return cast("dict[str, Any]", json.loads(line)["__tracer_meta__"])


def is_introduction(meta: Mapping[str, Any]) -> bool:
    """Whether a record is one that the server has made to introduce a process."""
    return (meta["event"], meta["seq"]) == ("process.start", 0)


def contents(result: Ingested) -> list[dict[str, Any]]:
    """Return the records in the lines, each of which must be valid, without introductions."""
    lines = result.lines.splitlines(keepends=True)
    for line in lines:
        assert validate_line(line) == []
    found = [json.loads(line) for line in lines]
    found = [one for one in found if not is_introduction(one["__tracer_meta__"])]
    assert len(found) == result.records
    return found


def key_values(fields: Mapping[str, object]) -> list[KeyValue]:
    """Return attributes; a value that is a message stays as it is."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in fields.items()]


def any_value(value: object) -> AnyValue:
    """Return a value of Python as OTLP has it."""
    if isinstance(value, AnyValue):
        return value
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return AnyValue(kvlist_value=KeyValueList(values=key_values(fields)))
    if isinstance(value, list):
        items = cast("list[object]", value)
        return AnyValue(array_value=ArrayValue(values=map(any_value, items)))
    field = _FIELDS[type(value)]
    return AnyValue(**{field: value}) if field else AnyValue()  # type: ignore[arg-type]


def span(**fields: Any) -> Span:  # noqa: ANN401 - any field of a span
    """Return a span that has ended; `attributes` may be a dict."""
    if isinstance(fields.get("attributes"), dict):
        fields["attributes"] = key_values(fields["attributes"])
    usual: dict[str, Any] = {"trace_id": TRACE, "span_id": SPAN, "name": "work"}
    times: dict[str, Any] = {"start_time_unix_nano": NOW, "end_time_unix_nano": NOW + 5_000}
    return Span(**{**usual, **times, **fields})


def log_record(event_name: str = "", **fields: Any) -> LogRecord:  # noqa: ANN401 - any field of a log record
    """Return a log record; before OTLP 1.5 the name of an event is an attribute."""
    made = LogRecord(**fields)
    if "event_name" in LogRecord.DESCRIPTOR.fields_by_name:
        made.event_name = event_name
    elif event_name:
        made.attributes.add(key="event.name").value.string_value = event_name
    return made


def spans_request(
    spans: Iterable[Span],
    resource: Mapping[str, object] = {},
    scope: InstrumentationScope | None = None,
) -> ExportTraceServiceRequest:
    """Return a request with spans of one scope."""
    of_scope = ScopeSpans(scope=scope, spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=key_values(resource)), scope_spans=[of_scope]
            )
        ]
    )


def logs_request(
    logs: Iterable[LogRecord],
    resource: Mapping[str, object] = {},
    scope: InstrumentationScope | None = None,
) -> ExportLogsServiceRequest:
    """Return a request with log records of one scope."""
    of_scope = ScopeLogs(scope=scope, log_records=logs)
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(resource=Resource(attributes=key_values(resource)), scope_logs=[of_scope])
        ]
    )


def as_json(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> bytes:
    """Return a request in JSON."""
    signal = SPANS if isinstance(request, ExportTraceServiceRequest) else LOGS
    return CODEC.to_json(Request(signal, request.SerializeToString(), 0))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXTS | st.sampled_from(
    [
        *("__tracer_meta__", "otel_ext.abandoned", "code.file.path", "code.line.number"),
        *("code.function.name", "code.lineno", "code.filepath", "…", "process.pid", "host.name"),
    ]
)
SCALARS = (
    st.none()
    | TEXTS
    | st.sampled_from(["process-died", "shutdown", "app.py", "\x9b", "\u2028", "x" * 70_000])
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 9)
    | st.floats()
    | st.binary(max_size=9)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
).map(any_value)
PAIRS = st.lists(st.builds(KeyValue, key=KEYS, value=VALUES) | st.builds(KeyValue), max_size=5)
TIMES = st.integers(0, 2**64 - 1) | st.just(0) | st.integers(NOW - 9_999, NOW + 9_999)
TRACE_IDS = st.just(TRACE) | st.binary(max_size=18) | st.binary(min_size=16, max_size=16)
SPAN_IDS = st.just(SPAN) | st.binary(max_size=10) | st.binary(min_size=8, max_size=8)
ENUMS = st.integers(0, 6) | st.sampled_from([-1, 2**31 - 1])
SPANS_OF_ANY_KIND = st.builds(
    Span,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=SPAN_IDS,
    name=TEXTS,
    kind=ENUMS,
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=PAIRS,
    events=st.lists(
        st.builds(Span.Event, name=TEXTS, time_unix_nano=TIMES, attributes=PAIRS), max_size=3
    ),
    links=st.lists(
        st.builds(Span.Link, trace_id=TRACE_IDS, span_id=SPAN_IDS, attributes=PAIRS), max_size=3
    ),
    status=st.builds(Status, code=ENUMS, message=TEXTS) | st.builds(Status),
)
LOGS_OF_ANY_KIND = st.builds(
    log_record,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    time_unix_nano=TIMES,
    observed_time_unix_nano=TIMES,
    severity_number=st.integers(0, 30) | ENUMS,
    severity_text=TEXTS | st.sampled_from(["WARN", "Fatal", "NOTICE"]),
    body=VALUES,
    attributes=PAIRS,
    event_name=TEXTS | st.just(""),
)
SCOPES = st.builds(
    InstrumentationScope,
    name=TEXTS,
    version=TEXTS,
    attributes=st.sampled_from(
        [
            [],
            key_values({"otel_ext.process": "b0-7-1-00000000"}),
            key_values({"otel_ext.process": "../x", "other": [1]}),
        ]
    ),
)
SPAN_REQUESTS = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=st.builds(Resource, attributes=PAIRS),
            scope_spans=st.lists(
                st.builds(ScopeSpans, scope=SCOPES, spans=st.lists(SPANS_OF_ANY_KIND, max_size=3)),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)
LOG_REQUESTS = st.builds(
    ExportLogsServiceRequest,
    resource_logs=st.lists(
        st.builds(
            ResourceLogs,
            resource=st.builds(Resource, attributes=PAIRS),
            scope_logs=st.lists(
                st.builds(
                    ScopeLogs, scope=SCOPES, log_records=st.lists(LOGS_OF_ANY_KIND, max_size=3)
                ),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)
