"""Encodes records as OTLP log records: all that are not sent as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.exporters.otlp.encoding.spans import id_of
from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, encode_attributes
from otel_ext.exporters.otlp.encoding.wire import (
    fixed32,
    fixed64,
    message,
    tag_of,
    text,
    varint,
)
from otel_ext.runtime.process.records import PROCESS_HEARTBEAT

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["ORIGIN", "encode_log_python"]

ORIGIN: Final = (
    *("code.file.path", "code.line.number", "code.function.name"),
    *("thread.id", "thread.name"),
)
"""OpenTelemetry's names of what a record has beside the user's data: call site and thread."""

_TRACE: Final = 1
_DEBUG: Final = 5
_INFO: Final = 9
_WARN: Final = 13
_SEVERITIES: Final = {
    "trace": _TRACE,
    "debug": _DEBUG,
    "info": _INFO,
    "warn": _WARN,
    "warning": _WARN,
    "error": 17,
    "exception": 17,
    "critical": 21,
    "fatal": 21,
}
_NOTHING: Final[tuple[object, ...]] = ("", 0, [], None)

# The fields of LogRecord.
_TIME: Final = tag_of(1, "fixed64")
_SEVERITY: Final = tag_of(2, "varint")
_LEVEL: Final = tag_of(3, "length")
_BODY: Final = tag_of(5, "length")
_ATTRIBUTES: Final = tag_of(6, "length")
_TRACE_ID: Final = tag_of(9, "length")
_SPAN_ID: Final = tag_of(10, "length")
_OBSERVED: Final = tag_of(11, "fixed64")
_EVENT_NAME: Final = tag_of(12, "length")
_SAMPLED: Final = fixed32(tag_of(8, "fixed32"), 1)
# That of the body's AnyValue.
_STRING: Final = tag_of(1, "length")


def encode_log_python(record: Record, observed_ns: int) -> bytes:
    """Return any record as a log record.

    Args:
        record: The record.
        observed_ns: When it is encoded, nanoseconds since the epoch.

    Raises:
        Exception: An id or a time is not valid.

    >>> from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    >>> from otel_ext.record.model import Process, Record
    >>> record = Record("log", None, "paid", 5, 1, Process("p"), level="warning")
    >>> log = LogRecord.FromString(encode_log_python(record, 6))
    >>> log.body.string_value, log.severity_number, log.time_unix_nano
    ('paid', 13, 5)
    """
    return b"".join(
        [
            fixed64(_TIME, record.time_ns),
            _SEVERITY + varint(_severity(record)),
            text(_LEVEL, cut_text(record.level)),
            message(_BODY, message(_STRING, cut_text(record.event).encode())),
            encode_attributes(_ATTRIBUTES, _attributes_of(record), ByteBudget()),
            _ids_of(record) if record.trace_id else b"",
            fixed64(_OBSERVED, observed_ns),
            text(_EVENT_NAME, cut_text(_event_name(record))),
        ]
    )


def _ids_of(record: Record) -> bytes:
    ids = message(_TRACE_ID, id_of(record.trace_id, 16)) + _SAMPLED
    return ids + message(_SPAN_ID, id_of(record.span_id, 8)) if record.span_id else ids


def _event_name(record: Record) -> str:
    if record.kind == "span":
        return f"otel_ext.span.{record.phase}"
    if record.kind == "process":
        return f"otel_ext.{record.name}"
    return f"otel_ext.{record.kind}"


def _severity(record: Record) -> int:
    if record.level:
        return _SEVERITIES.get(record.level.lower(), _INFO)
    if record.name == PROCESS_HEARTBEAT and record.kind == "process":
        return _DEBUG
    is_problem = record.abandoned is not None or record.extra.get("stalled") is True
    return _WARN if is_problem else _INFO


def _attributes_of(record: Record) -> dict[str, object]:
    """Return the user's attributes and ours.

    Ours win under `otel_ext.`, the user's under OpenTelemetry's names: then ours, None if there
    is none, has `otel_ext.` before such a name. Ours are first, so that they have room whatever
    the user's need.
    """
    ours = _own_attributes(record)
    for key, value in record.extra.items():
        if key != "resource":  # sent as the resource
            ours[f"otel_ext.{key}"] = value
    origin = _origin(record)
    for key in ORIGIN:
        if key in record.attributes:
            ours[f"otel_ext.{key}"] = origin.get(key)
    return {**ours, **origin, **record.attributes, **ours}


def _origin(record: Record) -> dict[str, object]:
    made: dict[str, object] = {}
    file, line, function, thread_id, thread_name = ORIGIN
    if record.call_site.is_known:
        made[file] = record.call_site.file
        made[line] = record.call_site.line
        made[function] = record.call_site.function
    if record.thread is not None:
        made[thread_id] = record.thread.id
        made[thread_name] = record.thread.name
    return made


def _own_attributes(record: Record) -> dict[str, object]:
    ours: dict[str, object] = {
        "otel_ext.kind": record.kind,
        "otel_ext.process": record.process.id,
        "otel_ext.seq": record.seq,
        "otel_ext.logger": record.logger,
    }
    if record.kind == "span":
        ours["otel_ext.phase"] = record.phase
        ours["otel_ext.provisional"] = record.provisional
        ours["otel_ext.span.name"] = record.name
        ours["otel_ext.span.kind"] = record.span_kind
        ours["otel_ext.span.parent_id"] = record.parent_span_id
        ours["otel_ext.span.links"] = [f"{link.trace_id}-{link.span_id}" for link in record.links]
        if any(link.attributes for link in record.links):
            ours["otel_ext.span.link_attributes"] = [dict(link.attributes) for link in record.links]
        ours["otel_ext.abandoned"] = record.abandoned
        ours["otel_ext.start_ns"] = record.start_ns
    if record.task is not None:
        ours["otel_ext.task.id"] = record.task.id
        ours["otel_ext.task.name"] = record.task.name
    return {key: value for key, value in ours.items() if value not in _NOTHING}
