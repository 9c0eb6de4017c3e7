"""Makes a record from a span of the SDK, sharing nothing with it.

The only module that touches the SDK's privates, and only one of them: a span's
own attribute object, whose copy is an order of magnitude quicker than the
public view and takes no lock. Where it is missing the public way serves.
"""

from __future__ import annotations

import sys
import threading
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.record.callsite import find_call_site, site_from_attributes
from otel_ext.record.model import (
    EMPTY,
    Link,
    Record,
    Scope,
    SpanEvent,
    Status,
    TaskInfo,
    ThreadInfo,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_ext.record.model import CallSite, Process

__all__ = ["SAMPLED", "capture_end", "capture_start", "current_task", "current_thread"]

SAMPLED: Final = 0x01
"""The bit of the trace flags that says "sampled"; others may be set beside it."""

_MAX_SCOPES: Final = 4_096
_KINDS: Final = ("internal", "server", "client", "producer", "consumer")
_UNSET: Final = Status("unset")
_STATUS_CODES: Final = ("unset", "ok", "error")


class _Local(threading.local):
    """What this thread is called, described once."""

    info: ThreadInfo | None = None


_local: Final = _Local()
_scopes: Final[dict[int, tuple[object, Scope | None]]] = {}


def current_thread() -> ThreadInfo:
    """Return the calling thread's id and name, described once a thread."""
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
    loop = asyncio._get_running_loop()  # noqa: SLF001 - documented; None where none runs
    task = None if loop is None else asyncio.current_task(loop)
    return None if task is None else TaskInfo(id(task), task.get_name())


def _attributes_of(holder: object) -> Mapping[str, object]:
    """Return a copy of a span's, event's or link's attributes."""
    try:
        copied: Mapping[str, object] = holder._attributes.copy()  # type: ignore[attr-defined]  # noqa: SLF001
    except AttributeError:
        return dict(getattr(holder, "attributes", None) or EMPTY)
    return copied


def _scope_of(scope: InstrumentationScope | None) -> Scope | None:
    known = _scopes.get(id(scope))
    if known is not None and known[0] is scope:
        return known[1]
    made = None if scope is None else Scope(scope.name, scope.version or "")
    if len(_scopes) >= _MAX_SCOPES:
        _scopes.clear()
    _scopes[id(scope)] = (scope, made)
    return made


def _hex(number: int, size: int) -> str:
    return number.to_bytes(size, "big").hex()


def _links_of(links: Sequence[trace.Link]) -> tuple[Link, ...]:
    return tuple(
        Link(
            _hex(link.context.trace_id, 16),
            _hex(link.context.span_id, 8),
            _attributes_of(link),
        )
        for link in links
    )


def _events_of(span: ReadableSpan) -> tuple[SpanEvent, ...]:
    return tuple(
        SpanEvent(event.name, event.timestamp, _attributes_of(event)) for event in span.events
    )


def _status_of(span: ReadableSpan) -> Status:
    status = span.status
    code = _STATUS_CODES[status.status_code.value]
    description = status.description
    return _UNSET if code == "unset" and not description else Status(code, description or "")


def capture_start(span: ReadableSpan, process: Process, seq: int) -> Record:
    """Return the start record of a span that has just begun.

    Called from `on_start`, on the thread that opened the span; what is set on
    the span later does not show in the record.

    Args:
        span: The span.
        process: The process as seen through the span's resource.
        seq: The record's number within the process.
    """
    context = span.get_span_context()
    if context is None:
        raise ValueError(f"span {span.name!r} has no context")
    attributes = _attributes_of(span)
    parent = span.parent
    links = span.links
    return Record(
        kind="span",
        phase="start",
        name=span.name,
        time_ns=span.start_time or time_ns(),
        seq=seq,
        process=process,
        site=_site(attributes),
        attributes=attributes,
        trace_id=_hex(context.trace_id, 16),
        span_id=_hex(context.span_id, 8),
        parent_span_id="" if parent is None else _hex(parent.span_id, 8),
        span_kind=_KINDS[span.kind.value],
        scope=_scope_of(span.instrumentation_scope),
        links=_links_of(links) if links else (),
        thread=current_thread(),
        task=current_task(),
    )


def _site(attributes: Mapping[str, object]) -> CallSite:
    return site_from_attributes(attributes) or find_call_site(4)


def capture_end(span: ReadableSpan, process: Process, seq: int, start: Record | None) -> Record:
    """Return the final record of a span that has ended.

    Thread, task and call site stay those of the start: where the span was
    opened says more than where it happened to be closed.

    Args:
        span: The span as the SDK hands it to `on_end`.
        process: The process as seen through the span's resource.
        seq: The record's number within the process.
        start: The span's start record, if it is still known.
    """
    if start is None:
        start = capture_start(span, process, seq)
    links = span.links
    end_ns = span.end_time
    return start._replace(
        phase="end",
        name=span.name,
        time_ns=time_ns() if end_ns is None else end_ns,
        seq=seq,
        process=process,
        attributes=_attributes_of(span),
        links=_links_of(links) if links else (),
        start_ns=start.time_ns,
        status=_status_of(span),
        events=_events_of(span),
    )
