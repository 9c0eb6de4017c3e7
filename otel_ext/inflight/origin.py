"""`Origin`: where an event comes from, or who owns the entity that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace

from otel_ext.record.capture import here
from otel_ext.record.model import UNKNOWN_CALL_SITE

if TYPE_CHECKING:
    from otel_ext.record.model import CallSite, TaskInfo, ThreadInfo

__all__ = ["NOWHERE", "Origin", "origin_here"]


class Origin(NamedTuple):
    """Where an event comes from, or for an entity, who owns it.

    Attributes:
        trace_id: Its trace, 32 lower-case hex digits; empty for none.
        span_id: Its span in that trace, 16 lower-case hex digits.
        call_site: The place in the user's code.
        thread: Its thread.
        task: Its asyncio task.
    """

    trace_id: str = ""
    span_id: str = ""
    call_site: CallSite = UNKNOWN_CALL_SITE
    thread: ThreadInfo | None = None
    task: TaskInfo | None = None


NOWHERE: Final = Origin()


def origin_here(depth: int = 1) -> Origin:
    """Return the current span, the call site in the user's code, the thread and the task.

    Args:
        depth: How many frames of callers to skip; 1 starts at the caller.

    >>> origin_here().thread.name
    'MainThread'
    """
    context = trace.get_current_span().get_span_context()
    trace_id, span_id = "", ""
    if context.is_valid:
        trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return Origin(trace_id, span_id, *here(depth + 1))
