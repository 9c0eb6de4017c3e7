"""Log records of any SDK become logs and events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from otel_ext.server.ingest.otlp.logs import read_logs, read_logs_json
from tests.examples import examples
from tests.server.ingest.otlp_requests import (
    LOG_REQUESTS,
    NOW,
    SPAN,
    TRACE,
    any_value,
    as_json,
    contents,
    key_values,
    log_record,
    logs_request,
    meta_of,
    numbers,
)

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

SCOPE = InstrumentationScope(name="shop.payment", version="1")


def log(body: object = "paid", **fields: Any) -> LogRecord:  # noqa: ANN401 - any field of a log record
    """Return a log record; `attributes` may be a dict."""
    if isinstance(fields.get("attributes"), dict):
        fields["attributes"] = key_values(fields["attributes"])
    usual: dict[str, Any] = {"time_unix_nano": NOW, "severity_number": 9}
    usual["body"] = None if body is None else any_value(body)
    return log_record(**{**usual, **fields})


def assert_same(request: ExportLogsServiceRequest) -> list[dict[str, Any]]:
    """Check that both forms of a request become the same; return the records."""
    result = read_logs(request.SerializeToString(), numbers())
    again = read_logs_json(as_json(request), numbers())
    # Numbers depend on the body.
    assert [json.loads(line) for line in result.lines.splitlines()] == [
        json.loads(line) for line in again.lines.splitlines()
    ]
    assert result[1:] == again[1:]
    return contents(result)


def only(message: LogRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return metadata and attributes of the record of one log record."""
    (found,) = assert_same(logs_request([message], {"service.name": "shop"}, SCOPE))
    return found.pop("__tracer_meta__"), found


@examples(1)
@given(LOG_REQUESTS)
def test_protobuf_and_json_are_the_same(request: ExportLogsServiceRequest) -> None:
    """No log record is rejected, whatever it has; all lines are valid."""
    scopes = [one for group in request.resource_logs for one in group.scope_logs]
    assert len(assert_same(request)) == sum(len(one.log_records) for one in scopes)


def test_a_log_has_text_level_logger_ids_and_attributes() -> None:
    """As a log of our own."""
    meta, attributes = only(
        log(
            "card refused",
            severity_number=13,
            severity_text="WARN",
            trace_id=TRACE,
            span_id=SPAN,
            attributes={"tries": 2, "card": {"brand": "visa"}},
        )
    )
    assert (meta["kind"], meta["event"], meta["level"]) == ("log", "card refused", "warning")
    assert (meta["trace_id"], meta["span_id"]) == (TRACE.hex(), SPAN.hex())
    assert meta["logger"] == "shop.payment"
    assert attributes == {"tries": 2, "card": {"brand": "visa"}}


@pytest.mark.parametrize(
    ("number", "text", "level"),
    [
        *((1, "", "trace"), (4, "", "trace"), (5, "", "debug"), (9, "Information", "info")),
        *((13, "", "warning"), (17, "", "error"), (20, "ERROR4", "error"), (24, "", "critical")),
        *((0, "WARN", "warning"), (0, "Fatal", "critical"), (0, "NOTICE", "notice")),
        *((0, "", None), (25, "", None), (-1, "x", "x")),
    ],
)
def test_the_level_is_that_of_the_severity(number: int, text: str, level: str | None) -> None:
    """By its number; by its text if the number is not one of OTLP's."""
    meta, _ = only(log(severity_number=number, severity_text=text))
    assert meta.get("level") == level


def test_a_log_with_a_name_is_an_event() -> None:
    """Also one with the attribute that older SDKs set; it keeps its level and body."""
    for message in (
        log({"sku": "B-7"}, event_name="stock.reserved", attributes={"left": 11}),
        log({"sku": "B-7"}, attributes={"event.name": "stock.reserved", "left": 11}),
    ):
        meta, attributes = only(message)
        assert (meta["kind"], meta["event"]) == ("event", "stock.reserved")
        assert attributes == {"left": 11, "body": {"sku": "B-7"}, "level": "info"}


def test_a_body_that_is_not_a_text_is_kept() -> None:
    """As an attribute, beside one of that name; its JSON is the text of the log."""
    meta, attributes = only(log({"a": [1, None]}, attributes={"body": "mine"}))
    assert meta["event"] == '{"a":[1,null]}'
    assert attributes == {"body": "mine", "body (2)": {"a": [1, None]}}
    meta, _ = only(log(["x" * 500] * 5))
    assert len(meta["event"]) == 1_025
    meta, attributes = only(log(None))
    assert (meta["event"], attributes) == ("", {})


def test_one_id_alone_is_an_attribute() -> None:
    """And so is what is not an id; the log is kept."""
    for ids, expected in (
        ({"trace_id": TRACE}, {"trace_id": TRACE.hex()}),
        ({"span_id": SPAN}, {"span_id": SPAN.hex()}),
        ({"trace_id": TRACE, "span_id": bytes(8)}, {"trace_id": TRACE.hex()}),
        ({"trace_id": b"x" * 17, "span_id": SPAN}, {"trace_id": "78" * 17, "span_id": SPAN.hex()}),
    ):
        meta, attributes = only(log(**ids))
        assert (attributes, "trace_id" in meta) == (expected, False)


def test_a_log_without_a_time_has_that_of_its_observation_or_arrival() -> None:
    """Never 1970."""
    meta, _ = only(log(time_unix_nano=0, observed_time_unix_nano=NOW - 10**9))
    assert meta["timestamp"] == "2027-01-15T07:59:59.000000Z"
    meta, _ = only(log(time_unix_nano=0))
    assert meta["timestamp"] == "2027-01-15T08:00:00.000000Z"


def test_the_call_site_is_that_of_the_attributes() -> None:
    """Which loggers set."""
    code = {"code.file.path": "a.py", "code.line.number": 7, "code.function.name": "f"}
    meta, attributes = only(log(attributes=code))
    assert (meta["file"], meta["line"], meta["function"], attributes) == ("a.py", 7, "f", code)


def test_spans_and_logs_of_a_resource_are_of_one_process() -> None:
    """Which is introduced before them."""
    request = logs_request([log(), log()], {"service.name": "shop", "process.pid": 7})
    start, *rest = map(
        meta_of, read_logs(request.SerializeToString(), numbers()).lines.splitlines()
    )
    assert (start["event"], start["pid"]) == ("process.start", 7)
    assert start["resource"] == {"service.name": "shop", "process.pid": 7}
    assert {one["process"] for one in rest} == {start["process"]}


def test_a_damaged_log_costs_only_itself() -> None:
    """In both forms; it is counted and named."""
    body = logs_request([log("one"), log("two")]).SerializeToString()
    result = read_logs(body.replace(b"one", b"o\xffe"), numbers())
    assert [one["__tracer_meta__"]["event"] for one in contents(result)] == ["two"]
    assert (result.rejected, result.reasons) == (1, "a log record: it is not valid protobuf")
    objects = [{"timeUnixNano": "soon"}, 5, {"body": {"stringValue": "two"}}]
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": objects}]}, "x"]}
    result = read_logs_json(json.dumps(document).encode(), numbers())
    assert [one["__tracer_meta__"]["event"] for one in contents(result)] == ["two"]
    assert result.rejected == 2
    assert result.reasons == (
        "a log record: its time 'soon' is not valid; logRecords: not an object; "
        "resourceLogs: not an object"
    )


def test_names_of_severities_are_numbers() -> None:
    """JSON may have either."""
    document = {
        "resource_logs": [
            {"scope_logs": [{"log_records": [{"severity_number": "SEVERITY_NUMBER_ERROR2"}]}]}
        ]
    }
    (found,) = contents(read_logs_json(json.dumps(document).encode(), numbers()))
    assert found["__tracer_meta__"]["level"] == "error"
