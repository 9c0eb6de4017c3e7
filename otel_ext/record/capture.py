"""Makes records from the SDK's spans, sharing nothing with them.

The only module that reads a private member of the SDK, and only one: a span's attribute
object. Copying it is an order of magnitude faster than the public view and takes no
lock. Where it is missing, the public view is used.
"""

from __future__ import annotations

import sys
import threading
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeVar, cast

from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.trace import Status as SdkStatus

from otel_ext._accel import choose, configure
from otel_ext.record import call_site, own_code, untyped
from otel_ext.record.call_site import call_site_from_attributes, find_call_site
from otel_ext.record.cancellation import note_start
from otel_ext.record.context_facts import NO_STATE, context_of, dropped_in, further_facts
from otel_ext.record.model import (
    EMPTY,
    SPAN_KINDS,
    STATUS_CODES,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    Link,
    PlainAttributes,
    Record,
    Scope,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
    new_record,
)
from otel_ext.record.sanitise.scalars import text_of
from otel_ext.record.untyped import NotAsExpectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry import trace
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_ext.record.model import CallSite, Process

__all__ = [
    "SAMPLED",
    "capture_end",
    "capture_end_python",
    "capture_start",
    "capture_start_python",
    "current_task",
    "current_thread",
    "here",
    "here_python",
    "identify",
    "identify_python",
]

SAMPLED: Final = 0x01
"""The bit of the trace flags that means "sampled"; other bits may be set too."""

# The SDK's private members that the compiled functions read, in the order they expect.
_SPAN_FIELDS: Final = (
    *("_name", "_context", "_parent", "_attributes", "_links", "_kind", "_start_time"),
    *("_end_time", "_events", "_status", "_instrumentation_scope", "_status_code"),
    *("copy", "_dict", "_dq", "_resource", "_description", "_timestamp"),
)
T = TypeVar("T")
_MAX_SCOPES: Final = 4_096
_NOT_ENDED: Final = (0, None, (), None, "", "", EMPTY)


class _Local(threading.local):
    """Caches the id and name of each thread."""

    info: ThreadInfo | None = None


_local: Final = _Local()
_scopes: Final[dict[int, tuple[object, Scope | None]]] = {}


def current_thread() -> ThreadInfo:
    """Return the calling thread's id and name, cached per thread."""
    info = _local.info
    if info is None:
        thread = threading.current_thread()
        info = _local.info = ThreadInfo(threading.get_ident(), thread.name)
    return info


def current_task() -> TaskInfo | None:
    """Return the asyncio task that runs here, or None; never imports asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - documented; None where none runs
        task = None if loop is None else asyncio.current_task(loop)
    except AttributeError:  # another thread imports it at this moment
        return None
    return None if task is None else TaskInfo(id(task), task.get_name())


def here_python(depth: int) -> tuple[CallSite, ThreadInfo, TaskInfo | None]:
    """Return call site, thread and task of the code that logs.

    Args:
        depth: How many frames to skip; 0 skips only this function's.
    """
    return find_call_site(depth + 1), current_thread(), current_task()


def _attributes_of(holder: object) -> Mapping[str, object]:
    """Return a copy of a span's, event's or link's attributes."""
    try:
        copied = cast("object", holder._attributes.copy())  # type: ignore[attr-defined]  # noqa: SLF001
    except AttributeError:
        public: Mapping[str, object] = getattr(holder, "attributes", None) or EMPTY
        return PlainAttributes(public)
    if type(copied) is not dict:
        raise NotAsExpectedError
    return PlainAttributes(cast("dict[str, object]", copied))


def _scope_of(scope: InstrumentationScope | None) -> Scope | None:
    known = _scopes.get(id(scope))
    if known is not None and known[0] is scope:
        return known[1]
    made = None
    if scope is not None:
        texts = (scope.name, scope.version, getattr(scope, "schema_url", ""))
        made = Scope(*map(_text_of, texts))
    if len(_scopes) >= _MAX_SCOPES:
        _scopes.clear()
    _scopes[id(scope)] = (scope, made)
    return made


def _text_of(value: object) -> str:
    """Return a name or version as text; the SDK does not check its type."""
    return "" if value is None else value if type(value) is str else text_of(value)


def _hex(number: int, size: int) -> str:
    return number.to_bytes(size, "big").hex()


def _links_of(links: Sequence[trace.Link]) -> tuple[Link, ...]:
    # The SDK keeps a link with an invalid context if it has attributes; the format does not.
    return tuple(
        Link(
            _hex(link.context.trace_id, 16),
            _hex(link.context.span_id, 8),
            _attributes_of(link),
            dropped_in(link),
            context_of(link.context, link.context.is_remote),
        )
        for link in links
        if link.context.is_valid
    )


def _events_of(events: Sequence[Event]) -> tuple[SpanEvent, ...]:
    return tuple(
        SpanEvent(
            _exactly(str, event.name),
            _exactly(int, event.timestamp),
            _attributes_of(event),
            dropped_in(event),
        )
        for event in events
    )


def _status_of(span: ReadableSpan) -> Status:
    status = span.status
    code: object = status.status_code
    if code is StatusCode.UNSET:
        return UNSET_STATUS
    if type(code) is not StatusCode:
        raise NotAsExpectedError
    description = status.description or ""
    return Status(STATUS_CODES[code.value], _exactly(str, description))


def _exactly(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise NotAsExpectedError
    return value


def _kind_of(span: ReadableSpan) -> str:
    kind = span.kind
    if type(kind) is not SpanKind:
        raise NotAsExpectedError
    return SPAN_KINDS[kind.value]


def identify_python(span: ReadableSpan, record_only: bool) -> tuple[int, int] | None:  # noqa: FBT001 - on the hot path
    """Return the key (trace id, span id) of a span that is to be recorded, or None.

    Args:
        span: The span.
        record_only: Whether spans that are recorded but not sampled count too.
    """
    context = span.get_span_context()
    if context is None or not (context.trace_flags & SAMPLED or record_only):
        return None
    return context.trace_id, context.span_id


def capture_start_python(span: ReadableSpan, process: Process, seq: int) -> Record:
    """Return the start record of a span that has just started.

    Called from `on_start`, on the thread that opened the span; changes made to the span
    later do not appear in the record.

    Args:
        span: The span.
        process: The process, with the span's resource.
        seq: The record's number within the process.
    """
    try:
        return _start_of(span, process, seq)
    except RecursionError:
        raise  # the worker, which has stack left, tries again
    except Exception:  # noqa: BLE001 - a field has another type
        record = untyped.capture_untyped_start(span, process, seq, find_call_site(1))
        return record._replace(thread=_or_none(current_thread), task=_or_none(current_task))


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:  # noqa: BLE001 - a user's thread or task class may raise anything
        return None


def _start_of(span: ReadableSpan, process: Process, seq: int) -> Record:
    """Return the start record of a span whose fields all have the expected types."""
    context = span.get_span_context()
    if context is None:
        raise NotAsExpectedError
    attributes = _attributes_of(span)
    parent = span.parent
    links = span.links
    kind = _kind_of(span)
    trace_id, span_id = _hex(context.trace_id, 16), _hex(context.span_id, 8)
    task = current_task()
    if task is not None:
        note_start(trace_id, span_id)
    # By position: a call with keywords costs as much as all the rest.
    return new_record(
        Record,
        (
            "span",
            "start",
            _exactly(str, span.name),
            _exactly(int, span.start_time) or time_ns(),
            seq,
            process,
            _call_site(attributes, kind),
            attributes,
            trace_id,
            span_id,
            _hex(parent.span_id, 8) if parent is not None else "",
            kind,
            _scope_of(span.instrumentation_scope),
            _links_of(links) if links else (),
            context_of(context, parent is not None and parent.is_remote),
            current_thread(),
            task,
            *_NOT_ENDED,
        ),
    )


def _call_site(attributes: Mapping[str, object], kind: str) -> CallSite:
    return call_site_from_attributes(attributes) or find_call_site(4, is_served=kind == "server")


def capture_end_python(
    span: ReadableSpan, process: Process, seq: int, start: Record | None
) -> Record:
    """Return the final record of a span that has ended.

    Thread, task and call site stay those of the start: where a span was opened is more
    useful than where it was closed.

    Args:
        span: The span as the SDK passes it to `on_end`.
        process: The process, with the span's resource.
        seq: The record's number within the process.
        start: The span's start record, if it is still known.
    """
    if start is None:
        start = capture_start_python(span, process, seq)
    try:
        return _end_of(span, process, seq, start)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001 - a field has another type
        return untyped.capture_untyped_end(span, process, seq, start)


def _end_of(span: ReadableSpan, process: Process, seq: int, start: Record) -> Record:
    """Return the final record of a span whose fields all have the expected types."""
    links = span.links
    events = span.events
    return new_record(
        Record,
        (
            "span",
            "end",
            _exactly(str, span.name),
            _exactly(int, span.end_time) or time_ns(),
            seq,
            process,
            start.call_site,
            _attributes_of(span),
            start.trace_id,
            start.span_id,
            start.parent_span_id,
            start.span_kind,
            start.scope,
            _links_of(links) if links else (),
            start.context,
            start.thread,
            start.task,
            start.time_ns,
            _status_of(span),
            _events_of(events) if events else (),
            None,
            "",
            "",
            further_facts(span, start),
        ),
    )


def _span_types() -> tuple[type, ...]:
    """Return the SDK's classes: of running and ended spans, contexts, statuses and events."""
    from opentelemetry.sdk import trace as sdk  # noqa: PLC0415 - not for programs that only log

    return getattr(sdk, "_Span", sdk.Span), sdk.ReadableSpan, SpanContext, SdkStatus, sdk.Event


configure(
    "configure_capture",
    capture_start=capture_start_python,
    capture_end=capture_end_python,
    record_type=Record,
    attributes_type=PlainAttributes,
    event_type=SpanEvent,
    status_type=Status,
    judge=own_code.judge,
    judged=own_code.JUDGED,
    remember=call_site.remember,
    unknown_call_site=UNKNOWN_CALL_SITE,
    call_site_from_attributes=call_site_from_attributes,
    scope_of=_scope_of,
    links_of=_links_of,
    events_of=_events_of,
    status_of=_status_of,
    context_of=context_of,
    no_state=NO_STATE,
    local=_local,
    current_thread=current_thread,
    task_info=TaskInfo,
    time_ns=time_ns,
    kinds=tuple(SpanKind),
    kind_names=SPAN_KINDS,
    codes=tuple(StatusCode),
    code_names=STATUS_CODES,
    unset_status=UNSET_STATUS,
    empty=EMPTY,
    names=_SPAN_FIELDS,
    code_keys=("code.file.path", "code.filepath"),
    identify=identify_python,
    here=here_python,
    span_types=_span_types,
)
identify: Final = choose("identify", identify_python)
"""Returns a span's key: the compiled function if it was built, else `identify_python`."""
capture_start: Final = choose("capture_start", capture_start_python)
"""Captures a start: the compiled function if it was built, else `capture_start_python`."""
capture_end: Final = choose("capture_end", capture_end_python)
"""Captures an end: the compiled function if it was built, else `capture_end_python`."""
here: Final = choose("here", here_python)
"""Finds call site, thread and task: the compiled function if built, else `here_python`."""
