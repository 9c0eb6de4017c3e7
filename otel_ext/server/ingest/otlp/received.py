"""`Received`: one log record, read from protobuf or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.formats.read.otlp_values import otlp_attributes, otlp_field, otlp_value
from otel_ext.formats.read.pieces import hex_id
from otel_ext.formats.read.times import nanoseconds
from otel_ext.record.schema.tolerant import are_valid
from otel_ext.server.ingest.otlp.values import attributes_of, value_of, without_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from otel_ext.formats.read.pieces import Fields
    from otel_ext.server.ingest.otlp.values import ValueBudget

__all__ = ["Received", "received_json", "received_log"]

_EVENT_NAME: Final = "event.name"  # before OTLP 1.5, an attribute
_SEVERITIES: Final = {
    f"SEVERITY_NUMBER_{name}{number or ''}": index * 4 + max(number, 1)
    for index, name in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
    for number in (0, 2, 3, 4)
}


class Received(NamedTuple):
    """A log record as it was received.

    Attributes:
        time_ns: Its time, nanoseconds since the epoch; never 0.
        trace_id: Its trace, in hex; empty without one, or what the sender has sent instead.
        span_id: Its span, likewise.
        severity: OTLP's number of its severity; 0 for an unknown one.
        severity_text: The sender's name of its severity; may be empty.
        event_name: The name of an event; may be empty.
        body: The body, as plain data.
        attributes: Its attributes, as plain data.
    """

    time_ns: int
    trace_id: str
    span_id: str
    severity: int
    severity_text: str
    event_name: str
    body: object
    attributes: dict[str, object]

    @property
    def has_ids(self) -> bool:
        """Whether both ids are there and valid."""
        return are_valid({"trace_id": self.trace_id, "span_id": self.span_id})

    @property
    def ids(self) -> dict[str, object]:
        """The ids that are there."""
        ids = {"trace_id": self.trace_id, "span_id": self.span_id}
        return {key: one for key, one in ids.items() if one}


def received_log(log: LogRecord, budget: ValueBudget, clock: Callable[[], int]) -> Received:
    """Return a log record that was received in protobuf.

    Args:
        log: The log record.
        budget: How many values the request may have.
        clock: Returns the time, for one that has none.

    Raises:
        RecordError: The budget is spent.
    """
    attributes = attributes_of(log.attributes, budget)
    return Received(
        time_ns=log.time_unix_nano or log.observed_time_unix_nano or clock(),
        trace_id=_id(log.trace_id.hex(), 32),
        span_id=_id(log.span_id.hex(), 16),
        severity=log.severity_number,
        severity_text=log.severity_text,
        # Packages before 1.35 do not have the field.
        event_name=getattr(log, "event_name", "") or _take_event_name(attributes),
        body=without_bytes(value_of(log.body, budget)),
        attributes=attributes,
    )


def received_json(log: Fields, clock: Callable[[], int]) -> Received:
    """Return a log record that was received in JSON.

    Args:
        log: The log record.
        clock: As for `received_log`.

    Raises:
        RecordError: Its time is not one.
    """
    attributes = otlp_attributes(log)
    severity = otlp_field(log, "severityNumber")
    return Received(
        time_ns=_time(log, "timeUnixNano") or _time(log, "observedTimeUnixNano") or clock(),
        trace_id=_id(otlp_field(log, "traceId"), 32),
        span_id=_id(otlp_field(log, "spanId"), 16),
        severity=severity if type(severity) is int else _SEVERITIES.get(str(severity), 0),
        severity_text=str(otlp_field(log, "severityText") or ""),
        event_name=str(otlp_field(log, "eventName") or "") or _take_event_name(attributes),
        body=otlp_value(log.get("body")),
        attributes=attributes,
    )


def _time(log: Fields, name: str) -> int:
    value = otlp_field(log, name)
    return 0 if value is None else nanoseconds(value, 1, "time")


def _id(value: object, size: int) -> str:
    """Return an id in hex, or the sender's text if it is not one."""
    try:
        return hex_id(value, size)
    except RecordError:
        return str(value)


def _take_event_name(attributes: dict[str, object]) -> str:
    name = attributes.get(_EVENT_NAME)
    return str(attributes.pop(_EVENT_NAME)) if isinstance(name, str) else ""
