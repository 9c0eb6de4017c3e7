"""Encodes records as OTLP spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, encode_attributes
from otel_ext.exporters.otlp.encoding.wire import (
    fixed32,
    fixed64,
    message,
    number,
    tag_of,
    text,
    varint,
)

if TYPE_CHECKING:
    from otel_ext.record.model import Record, TraceContext

__all__ = ["PROCESS_KEY", "encode_span_python", "id_of"]

PROCESS_KEY: Final = "otel_ext.process"
"""The attribute of a scope that names the process of its spans, as that of a log record does.

It is not one of the resource, since backends derive the labels of metrics from those.
"""

# Bytes of an event or link without its attributes.
_PART: Final = 64
# OTLP's flags for "it is known whether the parent, or the linked span, is remote", and "it is".
_HAS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_INTERNAL: Final = 1
_KINDS: Final = {"internal": _INTERNAL, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_ERROR: Final = 2
_CODES: Final = {"ok": 1, "error": _ERROR}
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8

# The fields of Span.
_TRACE_ID: Final = tag_of(1, "length")
_SPAN_ID: Final = tag_of(2, "length")
_PARENT_ID: Final = tag_of(4, "length")
_NAME: Final = tag_of(5, "length")
_KIND: Final = tag_of(6, "varint")
_START: Final = tag_of(7, "fixed64")
_END: Final = tag_of(8, "fixed64")
_ATTRIBUTES: Final = tag_of(9, "length")
_EVENTS: Final = tag_of(11, "length")
_LINKS: Final = tag_of(13, "length")
_STATUS: Final = tag_of(15, "length")
_FLAGS: Final = tag_of(16, "fixed32")
_STATE: Final = tag_of(3, "length")
# What the SDK's limits have left out of a span, in the order of the fields.
_DROPPED: Final = (
    ("attributes", tag_of(10, "varint")),
    ("events", tag_of(12, "varint")),
    ("links", tag_of(14, "varint")),
)
# Those of Status, Event and Link.
_STATUS_TEXT: Final = tag_of(2, "length")
_STATUS_CODE: Final = tag_of(3, "varint")
_EVENT_TIME: Final = tag_of(1, "fixed64")
_EVENT_NAME: Final = tag_of(2, "length")
_EVENT_ATTRIBUTES: Final = tag_of(3, "length")
_LINK_ATTRIBUTES: Final = tag_of(4, "length")
_EVENT_DROPPED: Final = tag_of(4, "varint")
_LINK_DROPPED: Final = tag_of(5, "varint")
_LINK_FLAGS: Final = tag_of(6, "fixed32")


def encode_span_python(record: Record) -> bytes:
    """Return the span that `record` describes, from `start_ns` to `time_ns`.

    Args:
        record: A record of a span; a `time_ns` of 0 leaves the span without an end.

    Raises:
        Exception: An id or a time is not valid.

    >>> from opentelemetry.proto.trace.v1.trace_pb2 import Span
    >>> from otel_ext.record.model import Process, Record
    >>> ids = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2"}
    >>> record = Record("span", "end", "load", 20, 2, Process("p"), start_ns=10, **ids)
    >>> span = Span.FromString(encode_span_python(record))
    >>> span.name, span.start_time_unix_nano, span.end_time_unix_nano
    ('load', 10, 20)
    """
    budget, parent = ByteBudget(), record.parent_span_id
    return b"".join(
        [
            message(_TRACE_ID, id_of(record.trace_id, _TRACE_BYTES)),
            message(_SPAN_ID, id_of(record.span_id, _SPAN_BYTES)),
            message(_PARENT_ID, id_of(parent, _SPAN_BYTES)) if parent else b"",
            text(_NAME, cut_text(record.name)),
            _KIND + varint(_KINDS.get(record.span_kind, _INTERNAL)),
            fixed64(_START, record.start_ns),
            fixed64(_END, record.time_ns),
            encode_attributes(_ATTRIBUTES, record.attributes, budget),
            _encode_events(record, budget) if record.events else b"",
            _encode_links(record, budget) if record.links else b"",
            _encode_dropped(record),
            message(_STATUS, _encode_status(record)),
            _encode_context(record.context, _FLAGS),
        ]
    )


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


def _encode_context(context: TraceContext | None, flags: bytes) -> bytes:
    """Return the fields with what is known of a context beside its ids."""
    if context is None:
        return fixed32(flags, _HAS_REMOTE)
    known = _HAS_REMOTE | _IS_REMOTE if context.is_remote else _HAS_REMOTE
    return text(_STATE, cut_text(context.trace_state)) + fixed32(flags, known)


def _encode_dropped(record: Record) -> bytes:
    counts = record.extra.get("dropped")
    if not isinstance(counts, dict):
        return b""
    found = ((tag, cast("dict[str, object]", counts).get(what)) for what, tag in _DROPPED)
    return b"".join(number(tag, count) for tag, count in found if isinstance(count, int))


def _encode_status(record: Record) -> bytes:
    status = record.status
    code = _CODES.get(status.code) if status is not None else None
    if status is None or code is None:
        return b""
    description = cut_text(status.description) if code == _ERROR else ""
    return text(_STATUS_TEXT, description) + _STATUS_CODE + varint(code)


def _encode_events(record: Record, budget: ByteBudget) -> bytes:
    made: list[bytes] = []
    for event in record.events:
        if budget.take(_PART + len(event.name)):
            time = fixed64(_EVENT_TIME, event.time_ns)
            name = text(_EVENT_NAME, cut_text(event.name, budget.text_limit))
            attributes = encode_attributes(_EVENT_ATTRIBUTES, event.attributes, budget)
            dropped = number(_EVENT_DROPPED, event.dropped)
            made.append(message(_EVENTS, time + name + attributes + dropped))
    return b"".join(made)


def _encode_links(record: Record, budget: ByteBudget) -> bytes:
    made: list[bytes] = []
    for link in record.links:
        if budget.take(_PART):
            ids = message(_TRACE_ID, id_of(link.trace_id, _TRACE_BYTES))
            ids += message(_SPAN_ID, id_of(link.span_id, _SPAN_BYTES))
            attributes = encode_attributes(_LINK_ATTRIBUTES, link.attributes, budget)
            dropped = number(_LINK_DROPPED, link.dropped)
            facts = _encode_context(link.context, _LINK_FLAGS)
            made.append(message(_LINKS, ids + attributes + dropped + facts))
    return b"".join(made)
