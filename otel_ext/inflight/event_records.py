"""Writes records of kind `event`: what happened in the program, or how an entity is now.

Each destination gets one, with the processor's redaction, also before the first span.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace

from otel_ext.inflight.tracker import event_senders
from otel_ext.record.capture import here
from otel_ext.record.entities import ENTITY
from otel_ext.record.model import EMPTY, UNKNOWN_CALL_SITE, Record
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.entities import Entity
    from otel_ext.record.model import CallSite, TaskInfo, ThreadInfo

__all__ = ["NOWHERE", "Origin", "event_record", "origin_here", "write_event"]


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


def event_record(
    name: str, attributes: Mapping[str, object], extra: Mapping[str, object], origin: Origin
) -> Record:
    """Return a new event record of this process.

    >>> event_record("cache.full", {"size": 3}, {}, NOWHERE).event
    'cache.full'
    """
    current = incarnation.current()
    return Record(
        "event",
        None,
        name,
        time_ns(),
        current.next_seq(),
        current.process_for(None),
        origin.call_site,
        attributes,
        origin.trace_id,
        origin.span_id,
        thread=origin.thread,
        task=origin.task,
        extra=extra,
    )


def write_event(
    name: str,
    attributes: Mapping[str, object] = EMPTY,
    *,
    entity: Entity | None = None,
    origin: Origin = NOWHERE,
) -> bool:
    """Write an event record to each destination of this process; never raises.

    It runs on the caller's thread and takes about as long as the start record of a span.

    Args:
        name: The event's name, such as `agent.registered`.
        attributes: The data at the top level of the line; sanitised and redacted on the way.
        entity: The entity that the record is about, if it is about one.
        origin: Where it comes from.

    Returns:
        Whether there is a destination: a `LifecycleSpanProcessor` that is not shut down.

    >>> write_event("cache.full", {"size": 3}) in (True, False)
    True
    """
    try:
        check_process()
        senders = event_senders()
        if not senders:
            return False
        extra = EMPTY if entity is None else {ENTITY: entity.as_metadata()}
        record = event_record(name, attributes, extra, origin)
        for tracker in senders:
            tracker.begin()
            tracker.emit(record)
    except Exception as error:  # noqa: BLE001 - nothing may reach the program
        report_problem(f"the event {name!r} is not recorded", error)
        return False
    return True
