"""Reads what a span has beside what people look at: its trace state, and what limits left out.

A receiver of OTLP gets these facts, as the stock exporters send them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanContext

from otel_ext.record.cancellation import cancellation_metadata
from otel_ext.record.model import EMPTY, TraceContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_ext.record.model import Record

__all__ = ["NO_STATE", "context_of", "dropped_in", "further_facts"]

NO_STATE: Final = SpanContext(1, 1, is_remote=False).trace_state
"""The trace state of a context that was made without one."""

_MAX_KNOWN: Final = 1_024
_known: Final[dict[tuple[bool, str], TraceContext | None]] = {}


def context_of(context: SpanContext, is_remote: bool) -> TraceContext | None:  # noqa: FBT001 - called by the compiled code
    """Return what a context has beside its ids; None if that is the usual.

    Args:
        context: The context of a span, or of a linked one.
        is_remote: Whether the span's parent, or the linked span, is one of another process.

    >>> context_of(SpanContext(7, 9, is_remote=False), True)
    TraceContext("remote":true)
    """
    state = context.trace_state
    if state is NO_STATE and not is_remote:
        return None
    key = (bool(is_remote), state.to_header())
    if key not in _known:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        made = TraceContext(is_remote=key[0], trace_state=key[1])
        return _known.setdefault(key, made if made.fragment else None)
    return _known[key]


def dropped_in(holder: object) -> int:
    """Return how many attributes of a link or event the SDK's limits have left out."""
    dropped: object = getattr(holder, "dropped_attributes", 0)
    return dropped if type(dropped) is int and dropped > 0 else 0


def further_facts(span: ReadableSpan, start: Record) -> Mapping[str, object]:
    """Return the metadata that only some ends have.

    Args:
        span: The span that has ended.
        start: Its start record.
    """
    counts = {
        "attributes": span.dropped_attributes,
        "events": span.dropped_events,
        "links": span.dropped_links,
    }
    dropped = {what: count for what, count in counts.items() if count}
    found = EMPTY
    if start.task is not None:
        found = cancellation_metadata(start.trace_id, start.span_id)
    return {**found, "dropped": dropped} if dropped else found
