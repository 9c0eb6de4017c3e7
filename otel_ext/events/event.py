"""What subscribers of the event bus get: an event, with numbers and facts about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Record

__all__ = ["RECORD_EVENTS", "Event", "event_name_of", "event_of"]

RECORD_EVENTS: Final = (
    "span.start",
    "span.stop",
    "span.stalled",
    "span.abandoned",
    "process.heartbeat",
)
"""The events that otel-ext emits itself, from its records."""

_PHASES: Final = {"start": "span.start", "update": "span.stalled", "end": "span.stop"}


class Event(NamedTuple):
    """One event.

    Attributes:
        name: Such as `span.stop`, or the name that the program has chosen.
        measurements: Numbers, such as `duration_ns`.
        metadata: Facts, such as the span's `name`, `trace_id` and `status`.
        time_ns: When it happened, in nanoseconds since the epoch.
    """

    name: str
    measurements: Mapping[str, float] = EMPTY  # type: ignore[assignment]
    metadata: Mapping[str, object] = EMPTY
    time_ns: int = 0


def event_name_of(record: Record) -> str:
    """Return the name of the event that a record is; empty for logs and dumps of open spans.

    >>> from otel_ext.record.model import Process, Record
    >>> event_name_of(Record("span", "end", "pay", 0, 1, Process("p")))
    'span.stop'
    >>> event_name_of(Record("span", "end", "pay", 0, 1, Process("p"), abandoned="shutdown"))
    'span.abandoned'
    """
    if record.kind == "span":
        if record.phase == "update" and not record.extra.get("stalled"):
            return ""
        return "span.abandoned" if record.abandoned else _PHASES[record.phase or "start"]
    return record.name if record.kind == "process" else ""


def event_of(record: Record, name: str) -> Event:
    """Return a record as the event `name`.

    >>> from otel_ext.record.model import Process, Record, Status
    >>> end = Record("span", "end", "pay", 50, 1, Process("p"), start_ns=20, status=Status("ok"))
    >>> event = event_of(end, "span.stop")
    >>> event.measurements, event.metadata["name"], event.metadata["status"]
    ({'duration_ns': 30}, 'pay', 'ok')
    """
    if record.kind == "process":
        return Event(name, metadata=dict(record.extra), time_ns=record.time_ns)
    call_site = record.call_site
    metadata: dict[str, object] = {
        "name": record.name,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id,
        "attributes": dict(record.attributes),
        "file": call_site.file,
        "line": call_site.line,
        "function": call_site.function,
        "process": record.process.id,
    }
    if record.phase == "start":
        return Event(name, metadata=metadata, time_ns=record.time_ns)
    if record.phase == "end":
        metadata["status"] = record.status.code if record.status else "unset"
        if error := record.error:
            metadata["error"] = error
        if record.abandoned:
            metadata["cause"] = record.abandoned
    duration_ns = max(record.time_ns - record.started_ns, 0)
    return Event(name, {"duration_ns": duration_ns}, metadata, record.time_ns)
