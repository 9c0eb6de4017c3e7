"""Captures spans whose fields do not have the types that OpenTelemetry specifies.

The SDK checks few of them. Each field is read separately here, then converted or
replaced, so that one bad field loses only itself. Only public properties of a span are
used. `reduce_record` is the last resort, for a record that cannot be encoded.
docs/record-format.md, "Awkward values", lists the conversions.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import isfinite
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from otel_ext.record.call_site import call_site_from_attributes
from otel_ext.record.context_facts import context_of, dropped_in
from otel_ext.record.model import (
    EMPTY,
    SPAN_KINDS,
    STATUS_CODES,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    CallSite,
    Link,
    Record,
    Scope,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
    TraceContext,
)
from otel_ext.record.sanitise.budget import left_out, size_of
from otel_ext.record.sanitise.scalars import text_of
from otel_ext.record.timestamps import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_ext.record.model import Process

__all__ = [
    "NotAsExpectedError",
    "capture_untyped_end",
    "capture_untyped_start",
    "reduce_record",
    "time_of",
]

_MICROSECOND: Final = timedelta(microseconds=1)
# A float from here on is in nanoseconds, a time since March 1973.
_LEAST_NS: Final = 10**17
# A float between these is in seconds, as from `time.time()`: from 1973 to 5138.
_SECONDS: Final = (10**8, 10**11)
_ID_BYTES: Final = 8

T = TypeVar("T")


class NotAsExpectedError(TypeError):
    """A field of a span does not have the type that OpenTelemetry specifies."""


def time_of(value: object) -> int:
    """Return the time that `value` stands for, in nanoseconds since the epoch; else now.

    A float is in nanoseconds or seconds, whichever makes it a time after March 1973. A
    datetime without a time zone is in local time, as everywhere in Python.

    >>> time_of(1_792_000_000_123_456_789.0), time_of(1_792_000_000.5)
    (1792000000123456768, 1792000000500000000)
    >>> time_of("yesterday") > 1_700_000_000_000_000_000
    True
    """
    try:
        if isinstance(value, datetime):
            moment = value if value.tzinfo is not None else value.astimezone()
            return (moment - EPOCH) // _MICROSECOND * 1_000
        if isinstance(value, float):
            return _time_of_float(float(value))
        if value is not None and not isinstance(value, bool):
            return int.__int__(operator.index(cast("int", value)))
    except Exception:  # noqa: BLE001, S110 - a user's type may raise anything
        pass
    return time_ns()


def _time_of_float(value: float) -> int:
    if isfinite(value) and value >= _LEAST_NS:
        return int(value)
    if _SECONDS[0] <= value <= _SECONDS[1]:
        return int(value * 1e6) * 1_000  # a float of seconds has no more digits
    return time_ns()


def capture_untyped_start(
    span: ReadableSpan, process: Process, seq: int, call_site: CallSite = UNKNOWN_CALL_SITE
) -> Record:
    """Return the start record of a span, whatever its fields are; without thread and task.

    Args:
        span: The span. It must have a valid context.
        process: The process, with the span's resource.
        seq: The record's number within the process.
        call_site: Where it was opened, if the span has no attributes for it.

    Raises:
        ValueError: The span has no context, or its ids are invalid.
    """
    attributes = _attributes_of(span)
    trace_id, span_id = _ids_of(span.get_span_context())
    return Record(
        kind="span",
        phase="start",
        name=_name_of(span),
        time_ns=_or_else(lambda: time_of(span.start_time or None), time_ns),
        seq=seq,
        process=process,
        call_site=_or_else(lambda: call_site_from_attributes(attributes), lambda: None)
        or call_site,
        attributes=attributes,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_or_else(lambda: _parent_of(span), str),
        span_kind=_or_else(lambda: _kind_of(span.kind), lambda: SPAN_KINDS[0]),
        scope=_or_else(lambda: _scope_of(span.instrumentation_scope), lambda: None),
        links=_links_of(span),
        context=_or_else(lambda: _context_of(span), lambda: None),
    )


def capture_untyped_end(
    span: ReadableSpan, process: Process, seq: int, start: Record | None
) -> Record:
    """Return the final record of a span, whatever its fields are.

    Args:
        span: The span. It must have a valid context.
        process: The process, with the span's resource.
        seq: The record's number within the process.
        start: The span's start record, if it is still known.

    Raises:
        ValueError: The span has no context, or its ids are invalid.
    """
    if start is None:
        start = capture_untyped_start(span, process, seq)
    return start._replace(
        phase="end",
        name=_name_of(span),
        time_ns=_or_else(lambda: time_of(span.end_time or None), time_ns),
        seq=seq,
        process=process,
        attributes=_attributes_of(span),
        links=_links_of(span),
        start_ns=start.time_ns,
        status=_or_else(lambda: _status_of(span.status), lambda: UNSET_STATUS),
        events=_events_of(span),
    )


def reduce_record(record: Record) -> Record:
    """Return the parts of a record that can always be encoded: ids, times, status, call site.

    A finished span without an end would look as if it ran for ever, so an end that cannot
    be encoded is written in this form, as is a start or a log. A note replaces the user's
    data and counts its keys.

    Args:
        record: A record of a span, a log or an event.
    """
    fields = size_of(record.attributes)
    note = EMPTY if fields == 0 else {"…": left_out(fields, 0, "keys")}
    status = record.status
    return record._replace(
        name=text_of(record.name),
        time_ns=time_of(record.time_ns),
        call_site=_instance_or_none(record.call_site, CallSite) or UNKNOWN_CALL_SITE,
        attributes=note,
        span_kind=record.span_kind if record.span_kind in SPAN_KINDS else "",
        scope=_instance_or_none(record.scope, Scope),
        links=(),
        context=_instance_or_none(record.context, TraceContext),
        thread=_instance_or_none(record.thread, ThreadInfo),
        task=_instance_or_none(record.task, TaskInfo),
        start_ns=time_of(record.start_ns),
        status=None if status is None else Status(_status_of(status).code),
        events=(),
        level=text_of(record.level),
        logger=text_of(record.logger),
    )


def _or_else(read: Callable[[], T], default: Callable[[], T]) -> T:
    try:
        return read()
    except Exception:  # noqa: BLE001 - a field of any type may raise anything
        return default()


def _instance_or_none(value: T, kind: type[T]) -> T | None:
    return value if type(value) is kind else None


def _name_of(named: object) -> str:
    return _or_else(lambda: text_of(cast("ReadableSpan", named).name), lambda: text_of(named))


def _hex(number: object, size: int) -> str:
    """Return an id as text.

    Raises:
        ValueError: It is not a valid id.
    """
    if not isinstance(number, int) or not 0 < number < 1 << 8 * size:
        raise ValueError(f"{text_of(number)[:80]} is not an id of {size} bytes")
    return number.to_bytes(size, "big").hex()


def _ids_of(context: object) -> tuple[str, str]:
    if context is None:
        raise ValueError("the span has no context")
    trace_id, span_id = getattr(context, "trace_id", None), getattr(context, "span_id", None)
    return _hex(trace_id, 2 * _ID_BYTES), _hex(span_id, _ID_BYTES)


def _parent_of(span: ReadableSpan) -> str:
    return "" if span.parent is None else _hex(span.parent.span_id, _ID_BYTES)


def _context_of(span: ReadableSpan) -> TraceContext | None:
    context, parent = span.get_span_context(), span.parent
    if context is None:
        return None
    return context_of(context, parent is not None and parent.is_remote)


def _kind_of(kind: object) -> str:
    number: object = getattr(kind, "value", kind)
    return (
        SPAN_KINDS[number]
        if type(number) is int and 0 <= number < len(SPAN_KINDS)
        else SPAN_KINDS[0]
    )


def _scope_of(scope: object) -> Scope | None:
    if scope is None:
        return None
    values: list[object] = [getattr(scope, one, None) for one in ("name", "version", "schema_url")]
    return Scope(*("" if value is None else text_of(value) for value in values))


def _status_of(status: object) -> Status:
    """Return a status from one of the SDK's or ours, or from a code's number or name."""
    code: object = getattr(status, "status_code", getattr(status, "code", status))
    value: object = getattr(code, "value", code)
    name = STATUS_CODES[0]
    if isinstance(value, str):
        text = text_of(value).lower()
        name = text if text in STATUS_CODES else name
    elif type(value) is int and 0 <= value < len(STATUS_CODES):
        name = STATUS_CODES[value]
    description: object = getattr(status, "description", None)
    if description is None or name == STATUS_CODES[0]:
        return Status(name)
    return Status(name, text_of(description))


def _attributes_of(holder: object) -> Mapping[str, object]:
    """Return a copy of a span's, link's or event's attributes; a note if they are invalid."""
    try:
        found: object = getattr(holder, "attributes", None)
    except Exception:  # noqa: BLE001 - as above; the SDK's own property is one that raises
        return {"…": "<unprintable: attributes>"}
    if found is None:
        return {}
    # Only a mapping is copied: anything else may be endless.
    copied = _or_else(
        lambda: dict(cast("Mapping[str, object]", found)) if isinstance(found, Mapping) else None,
        lambda: None,
    )
    return {"…": f"<unprintable: {type(found).__name__}>"} if copied is None else copied


def _items_of(read: Callable[[], object]) -> tuple[object, ...]:
    """Return the links or events of a span; empty if they cannot be read."""
    found = _or_else(read, lambda: None)
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes)):
        return ()
    return _or_else(lambda: tuple(cast("Iterable[object]", found)), tuple)


def _links_of(span: ReadableSpan) -> tuple[Link, ...]:
    """Return the links, without those that have no valid context."""
    found = (_link_of(link) for link in _items_of(lambda: span.links))
    return tuple(link for link in found if link is not None)


def _link_of(link: object) -> Link | None:
    try:
        ids = _ids_of(getattr(link, "context", None))
    except Exception:  # noqa: BLE001 - as above
        return None
    context: Any = getattr(link, "context", None)
    facts = _or_else(lambda: context_of(context, context.is_remote), lambda: None)
    return Link(*ids, _attributes_of(link), _or_else(lambda: dropped_in(link), int), facts)


def _events_of(span: ReadableSpan) -> tuple[SpanEvent, ...]:
    return tuple(
        SpanEvent(
            _name_of(event),
            time_of(_time_in(event)),
            _attributes_of(event),
            _or_else(lambda: dropped_in(event), int),  # noqa: B023 - called at once
        )
        for event in _items_of(lambda: span.events)
    )


def _time_in(event: object) -> object:
    return _or_else(lambda: getattr(event, "timestamp", None), lambda: None)
