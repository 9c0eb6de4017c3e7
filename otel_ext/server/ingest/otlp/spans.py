"""Makes records of OTLP's spans in protobuf, as `otel_ext.formats.read.otlp` does of those in JSON.

This runs for each span that a server receives, so speed matters: most spans are small and have
nothing that a record cannot hold, and are marked as sanitised here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.formats.read.imported import label_of
from otel_ext.formats.read.otlp import OTLP_KINDS, take_cause
from otel_ext.formats.read.pieces import call_site_in, hex_id
from otel_ext.record.model import (
    EMPTY,
    META_KEY,
    STATUS_CODES,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    Link,
    PlainAttributes,
    Record,
    SpanEvent,
    Status,
    TraceContext,
    new_record,
)
from otel_ext.server.ingest.cut import cut
from otel_ext.server.ingest.otlp.values import attributes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_ext.record.model import Process, Scope
    from otel_ext.server.ingest.limits import IngestLimits
    from otel_ext.server.ingest.otlp.values import ValueBudget

__all__ = ["SpanSource", "id_in_hex", "span_record"]

# OTLP's flag for a parent in another process, and the longest trace state that is kept.
_IS_REMOTE: Final = 0x200
_LONGEST_STATE: Final = 1_024

# Bytes of a span whose line is within all limits of the record format: as JSON they are six
# times as many at most, and all its values together cost less than the sanitiser's budgets.
_SMALL: Final = 16_384
_NO_IDS: Final = (bytes(8), bytes(16))


class SpanSource(NamedTuple):
    """What the spans of one scope share.

    Attributes:
        process: Their process.
        scope: Their scope.
        limits: How much a span may have.
        budget: How many values the request may have.
        note: Called with what is left out of a span, and why.
    """

    process: Process
    scope: Scope | None
    limits: IngestLimits
    budget: ValueBudget
    note: Callable[[str], None]


def span_record(span: Span, size: int, seq: int, source: SpanSource) -> Record:
    """Return the record of a span: its end, or its start if it has no end.

    Args:
        span: The span.
        size: Its bytes in protobuf.
        seq: The record's number.
        source: What it shares with others.

    Raises:
        RecordError: It has no ids or no start, an id is not one, or the budget is spent.
    """
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    if not start_ns:
        raise RecordError("it has no start")
    attributes = PlainAttributes(attributes_of(span.attributes, source.budget))
    abandoned = take_cause(attributes) if end_ns and "otel_ext.abandoned" in attributes else None
    trace_id, span_id = id_in_hex(span.trace_id, 16), id_in_hex(span.span_id, 8)
    parent_id = span.parent_span_id
    parent = id_in_hex(parent_id, 8) if parent_id else ""
    events = _events(span, source) if span.events else ()
    links = _links(span, source) if span.links else ()
    if not trace_id or not span_id:
        raise RecordError("it has no ids", hint="Leave it out.")
    kind = span.kind
    has_site = "code.file.path" in attributes or "code.filepath" in attributes
    record = new_record(
        Record,
        (
            "span",
            "end" if end_ns else "start",
            span.name,
            max(end_ns, start_ns),
            seq,
            source.process,
            call_site_in(attributes) if has_site else UNKNOWN_CALL_SITE,
            attributes,
            trace_id,
            span_id,
            parent,
            OTLP_KINDS[kind] if 0 <= kind < len(OTLP_KINDS) else OTLP_KINDS[0],
            source.scope,
            links,
            _context(span),
            None,
            None,
            start_ns if end_ns else 0,
            _status(span) if end_ns else None,
            events,
            abandoned,
            "",
            "",
            EMPTY,
        ),
    )
    limits = source.limits
    is_odd = _is_odd(events, limits.attributes) or _is_odd(links, limits.attributes)
    if size <= _SMALL and not is_odd and META_KEY not in attributes:
        attributes.size = size
    if (
        is_odd
        or has_site
        or len(attributes) > limits.attributes
        or len(events) > limits.events
        or len(links) > limits.links
    ):
        return _cut(record, attributes, limits)
    return record


def _cut(record: Record, attributes: PlainAttributes, limits: IngestLimits) -> Record:
    made = cut(record, limits)
    if made.attributes is not attributes and attributes.is_sanitised:
        kept = PlainAttributes(made.attributes)
        kept.size = attributes.size
        return made._replace(attributes=kept)
    return made


def id_in_hex(data: bytes, size: int) -> str:
    """Return an id of `size` bytes in hex; empty for an empty one or only zeros.

    Raises:
        RecordError: It has more bytes.
    """
    if len(data) == size and data not in _NO_IDS:
        return data.hex()
    return hex_id(data.hex(), 2 * size)


def _is_odd(parts: tuple[SpanEvent, ...] | tuple[Link, ...], most: int) -> bool:
    """Whether an event or link has too many attributes, or a key that a record cannot have."""
    for part in parts:
        attributes = part.attributes
        if len(attributes) > most or META_KEY in attributes:
            return True
    return False


def _context(span: Span) -> TraceContext | None:
    flags, state = span.flags, span.trace_state
    if not state and not flags & _IS_REMOTE:
        return None
    return TraceContext(is_remote=bool(flags & _IS_REMOTE), trace_state=state[:_LONGEST_STATE])


def _status(span: Span) -> Status:
    status = span.status
    code, message = status.code, status.message
    if not message and not code:
        return UNSET_STATUS
    return Status(STATUS_CODES[code] if 0 <= code < len(STATUS_CODES) else "unset", message)


def _events(span: Span, source: SpanSource) -> tuple[SpanEvent, ...]:
    source.budget.take(len(span.events))
    made: list[SpanEvent] = []
    for event in span.events:
        time_ns = event.time_unix_nano
        if time_ns:
            attributes = attributes_of(event.attributes, source.budget)
            made.append(SpanEvent(event.name, time_ns, attributes))
        else:
            source.note(f"{label_of(span.name)}: an event: it has no time")
    return tuple(made)


def _links(span: Span, source: SpanSource) -> tuple[Link, ...]:
    source.budget.take(len(span.links))
    made: list[Link] = []
    for link in span.links:
        try:
            ids = id_in_hex(link.trace_id, 16), id_in_hex(link.span_id, 8)
            if not all(ids):
                raise RecordError("it has no ids")  # noqa: TRY301
        except RecordError as error:
            source.note(f"{label_of(span.name)}: a link: {error}")
        else:
            made.append(Link(*ids, attributes_of(link.attributes, source.budget)))
    return tuple(made)
