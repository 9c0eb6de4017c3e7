"""Writes records as OTLP spans.

This runs for each record on the sending thread, so speed matters: a message is filled
where it is, since protobuf copies a message that is passed to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, write_attributes

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_ext.record.model import Record

__all__ = ["PROCESS_KEY", "id_of", "write_span"]

PROCESS_KEY: Final = "otel_ext.process"
"""The attribute of a scope that names the process of its spans, as that of a log record does.

It is not one of the resource, since backends derive the labels of metrics from those.
"""

_PLAIN_NAME: Final = 1_024
# Bytes of an event or link without its attributes.
_PART: Final = 64
# OTLP's flag for "it is known whether the parent is remote"; a record has no more flags.
_FLAGS: Final = 0x100
_INTERNAL: Final = 1
_KINDS: Final = {"internal": _INTERNAL, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_ERROR: Final = 2
_CODES: Final = {"ok": 1, "error": _ERROR}
_TRACE_ID: Final = 16
_SPAN_ID: Final = 8


def write_span(span: Span, record: Record) -> None:
    """Write the span that `record` describes, from `start_ns` to `time_ns`.

    Args:
        span: The empty message to write to.
        record: A record of a span; a `time_ns` of 0 leaves the span without an end.

    Raises:
        Exception: An id or a time is not valid; then `span` is incomplete.

    >>> from opentelemetry.proto.trace.v1.trace_pb2 import Span
    >>> from otel_ext.record.model import Process, Record
    >>> ids = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2"}
    >>> span = Span()
    >>> write_span(span, Record("span", "end", "load", 20, 2, Process("p"), start_ns=10, **ids))
    >>> span.name, span.start_time_unix_nano, span.end_time_unix_nano
    ('load', 10, 20)
    """
    trace_id = id_of(record.trace_id, _TRACE_ID)
    span.trace_id = trace_id
    span.span_id = id_of(record.span_id, _SPAN_ID)
    if record.parent_span_id:
        span.parent_span_id = id_of(record.parent_span_id, _SPAN_ID)
    name = record.name
    span.name = name if name.isascii() and len(name) < _PLAIN_NAME else cut_text(name)
    span.kind = _KINDS.get(record.span_kind, _INTERNAL)  # type: ignore[assignment] # an enum's number
    span.start_time_unix_nano = record.start_ns
    span.end_time_unix_nano = record.time_ns
    span.flags = _FLAGS
    _write_status(span, record)
    budget = ByteBudget()
    if record.attributes:
        write_attributes(span.attributes, record.attributes, budget)
    if record.events:
        _write_events(span, record, budget)
    if record.links:
        _write_links(span, record, budget)


def id_of(text: str, size: int) -> bytes:
    """Return the `size` bytes of an id in hex.

    Raises:
        ValueError: It is not such an id; receivers refuse a whole request with one.

    >>> id_of("00f067aa0ba902b7", 8).hex()
    '00f067aa0ba902b7'
    """
    made = bytes.fromhex(text)
    if len(made) != size:
        message = f"{text!r} is not an id of {size} bytes"
        raise ValueError(message)
    return made


def _write_status(span: Span, record: Record) -> None:
    status = record.status
    code = _CODES.get(status.code) if status is not None else None
    if status is None or code is None:
        span.status.SetInParent()
        return
    span.status.code = code  # type: ignore[assignment] # an enum's number
    if code == _ERROR and status.description:
        span.status.message = cut_text(status.description)


def _write_events(span: Span, record: Record, budget: ByteBudget) -> None:
    for event in record.events:
        if budget.take(_PART + len(event.name)):
            made = span.events.add()
            made.name = cut_text(event.name, budget.text_limit)
            made.time_unix_nano = event.time_ns
            write_attributes(made.attributes, event.attributes, budget)


def _write_links(span: Span, record: Record, budget: ByteBudget) -> None:
    for link in record.links:
        if budget.take(_PART):
            made = span.links.add()
            made.trace_id = id_of(link.trace_id, _TRACE_ID)
            made.span_id = id_of(link.span_id, _SPAN_ID)
            made.flags = _FLAGS
            write_attributes(made.attributes, link.attributes, budget)
