"""Writes records as OTLP log records: all that are not sent as spans."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_ext.exporters.otlp.encoding.spans import id_of
from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, write_attributes
from otel_ext.runtime.process.records import PROCESS_HEARTBEAT

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["ORIGIN", "write_log"]

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
_SAMPLED: Final = 1
# The field of OTLP 1.5; packages before 1.35 do not have it.
_HAS_EVENT_NAME: Final = "event_name" in LogRecord.DESCRIPTOR.fields_by_name
_NOTHING: Final[tuple[object, ...]] = ("", 0, [], None)


def write_log(log: LogRecord, record: Record) -> None:
    """Write any record as a log record.

    Args:
        log: The empty message to write to.
        record: The record.

    Raises:
        Exception: An id or a time is not valid; then `log` is incomplete.

    >>> from otel_ext.record.model import Process, Record
    >>> log = LogRecord()
    >>> write_log(log, Record("log", None, "paid", 5, 1, Process("p"), level="warning"))
    >>> log.body.string_value, log.severity_number, log.time_unix_nano
    ('paid', 13, 5)
    """
    log.time_unix_nano = record.time_ns
    log.observed_time_unix_nano = time_ns()
    log.severity_number = _severity(record)  # type: ignore[assignment] # an enum's number
    log.severity_text = cut_text(record.level)
    log.body.string_value = cut_text(record.event)
    if record.trace_id:
        log.trace_id = id_of(record.trace_id, 16)
        if record.span_id:
            log.span_id = id_of(record.span_id, 8)
        log.flags = _SAMPLED
    attributes = _attributes_of(record)
    if _HAS_EVENT_NAME:
        log.event_name = _event_name(record)
    else:
        attributes["event.name"] = _event_name(record)
    write_attributes(log.attributes, attributes, ByteBudget())


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
