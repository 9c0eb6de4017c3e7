"""Encodes records that are not final for OTLP: the encodings by name.

========= ===================================================================
name      a start or update becomes
========= ===================================================================
events    a log record with the span's ids (`otel_ext.span.start`)
logfire   a start: an extra span, with another id, below the real one, with the
          attributes that Logfire's viewers know; an update: a log record
same-id   a span with its own id, without an end
========= ===================================================================

Logs, process records, and ends made up for spans that never ended (`abandoned`) are log
records in all encodings: the real end of such a span may still come, and a backend keeps
only one span of an id.
"""

from __future__ import annotations

from hashlib import blake2b
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.exporters.otlp.encoding.events import LogEvent
from otel_ext.exporters.otlp.encoding.spans import span_of
from otel_ext.exporters.otlp.encoding.values import (
    ByteBudget,
    clean_attributes,
    clean_text,
    clean_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_ext.exporters.otlp.encoding.spans import Origins
    from otel_ext.exporters.otlp.encoding.values import OtlpValue
    from otel_ext.record.model import Record

__all__ = [
    "ENCODINGS",
    "Encoded",
    "OtlpEncoding",
    "encode_events",
    "encode_logfire",
    "encode_same_id",
]

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
_HEARTBEAT: Final = "process.heartbeat"
_NO_PARENT: Final = "0" * 16


class Encoded(NamedTuple):
    """An encoded record: a span or a log record."""

    span: ReadableSpan | None = None
    log: LogEvent | None = None


OtlpEncoding: TypeAlias = "Callable[[Record, Origins], Encoded]"
"""Encodes a record that is not final."""


def encode_events(record: Record, origins: Origins) -> Encoded:
    """Encode any record as a log record."""
    return Encoded(log=_event_of(record, origins))


def encode_logfire(record: Record, origins: Origins) -> Encoded:
    """Encode a start as Logfire's pending span, other records as log records.

    A pending span has its own id and no duration. Its parent is the real span, whose
    parent is an attribute. The id is derived from the span's, so sending it again does
    not create another pending span.
    """
    if record.phase != "start":
        return encode_events(record, origins)
    pending = {
        "logfire.span_type": "pending_span",
        "logfire.pending_parent_id": record.parent_span_id or _NO_PARENT,
    }
    span_id = blake2b(f"{record.trace_id}{record.span_id}".encode(), digest_size=8).hexdigest()
    pending_record = record._replace(
        attributes={**record.attributes, **pending},
        span_id=span_id,
        parent_span_id=record.span_id,
        start_ns=record.time_ns,
    )
    return Encoded(span=span_of(pending_record, origins))


def encode_same_id(record: Record, origins: Origins) -> Encoded:
    """Encode a start or update as a span with its own id and no end."""
    if not record.provisional:
        return encode_events(record, origins)
    started = record.start_ns or record.time_ns
    if record.phase == "update":
        # An update has its own time, and the age of the span at that time.
        started = record.time_ns - _whole(record.extra.get("age_ns"))
    return Encoded(span=span_of(record._replace(start_ns=started), origins, ended=False))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


ENCODINGS: Final[dict[str, OtlpEncoding]] = {
    "events": encode_events,
    "logfire": encode_logfire,
    "same-id": encode_same_id,
}
"""The encodings by name."""


def _event_of(record: Record, origins: Origins) -> LogEvent:
    return LogEvent(
        name=_event_name(record),
        body=clean_text(record.event),
        severity=_severity(record),
        severity_text=record.level or "",
        time_ns=record.time_ns,
        observed_ns=time_ns(),
        trace_id=int(record.trace_id, 16) if record.trace_id else 0,
        span_id=int(record.span_id, 16) if record.span_id else 0,
        attributes=_attributes_of(record),
        resource=origins.resource(record.process),
        scope=origins.scope(record.scope),
    )


def _event_name(record: Record) -> str:
    if record.kind == "span":
        return f"otel_ext.span.{record.phase}"
    if record.kind == "process":
        return f"otel_ext.{record.name}"
    return f"otel_ext.{record.kind}"


def _severity(record: Record) -> int:
    if record.level:
        return _SEVERITIES.get(record.level.lower(), _INFO)
    if record.name == _HEARTBEAT and record.kind == "process":
        return _DEBUG
    is_problem = record.abandoned is not None or record.extra.get("stalled") is True
    return _WARN if is_problem else _INFO


def _attributes_of(record: Record) -> dict[str, OtlpValue]:
    """Return the user's attributes, then ours under names that the user has not set."""
    budget = ByteBudget()
    made: dict[str, OtlpValue] = dict(clean_attributes(record.attributes, budget))
    if record.call_site.is_known:
        made.setdefault("code.file.path", record.call_site.file)
        made.setdefault("code.line.number", record.call_site.line)
        made.setdefault("code.function.name", record.call_site.function)
    if record.thread is not None:
        made.setdefault("thread.id", record.thread.id)
        made.setdefault("thread.name", clean_text(record.thread.name))
    ours: dict[str, object] = {
        "kind": record.kind,
        "process": record.process.id,
        "seq": record.seq,
        "logger": record.logger,
    }
    if record.kind == "span":
        ours["phase"] = record.phase
        ours["provisional"] = record.provisional
        ours["span.name"] = record.name
        ours["span.kind"] = record.span_kind
        ours["span.parent_id"] = record.parent_span_id
        ours["span.links"] = [f"{link.trace_id}-{link.span_id}" for link in record.links]
        ours["abandoned"] = record.abandoned
        ours["start_ns"] = record.start_ns
    if record.task is not None:
        ours["task.id"] = record.task.id
        ours["task.name"] = record.task.name
    for key, value in ours.items():
        if value not in ("", 0, [], None):
            made[f"otel_ext.{key}"] = clean_value(value, budget)
    for key, value in record.extra.items():
        if key != "resource":  # sent as the resource
            made[f"otel_ext.{key}"] = clean_value(value, budget)
    return made
