"""Writes records of kind `event`: what happened in the program, or how an entity is now.

Each destination gets one, with the processor's redaction, also before the first span.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from otel_ext.inflight.introductions import EventFacts, introductions
from otel_ext.inflight.origin import NOWHERE
from otel_ext.inflight.tracker import event_senders
from otel_ext.record.entities import ENTITY
from otel_ext.record.model import EMPTY, Record
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process import incarnation
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_ext.inflight.origin import Origin
    from otel_ext.inflight.tracker import Tracker
    from otel_ext.record.entities import Entity

__all__ = ["event_record", "introduce_entities", "write_event"]


def event_record(
    name: str, attributes: Mapping[str, object], extra: Mapping[str, object], origin: Origin
) -> Record:
    """Return a new event record of this process.

    >>> event_record("cache.full", {"size": 3}, {}, NOWHERE).event
    'cache.full'
    """
    return _record_of(_event(name, attributes, None, origin))._replace(extra=extra)


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
        _introduce(senders)
        event = _event(name, attributes, entity, origin)
        introductions().note(event)
        if not senders:
            return False
        _emit(_record_of(event), senders)
    except Exception as error:  # noqa: BLE001 - nothing may reach the program
        report_problem(f"the event {short_repr(name)} is not recorded", error)
        return False
    return True


def introduce_entities() -> None:
    """Write the entities that live to destinations that were set up after them; never raises.

    >>> introduce_entities()
    """
    try:
        check_process()
        _introduce(event_senders())
    except Exception as error:  # noqa: BLE001 - the worker goes on
        report_problem("entities are not recorded for a new destination", error)


def _introduce(senders: Sequence[Tracker]) -> None:
    new = introductions().new_among(senders)
    if not new:
        return
    for event in introductions().latest():
        _emit(_record_of(event), new)


def _event(
    name: str, attributes: Mapping[str, object], entity: Entity | None, origin: Origin
) -> EventFacts:
    """Return what is recorded of an event that happens now, with a number of its own."""
    return EventFacts(name, attributes, entity, origin, incarnation.current().next_seq(), time_ns())


def _record_of(event: EventFacts) -> Record:
    origin, entity = event.origin, event.entity
    return Record(
        "event",
        None,
        event.name,
        event.time_ns,
        event.seq,
        incarnation.current().process_for(None),
        origin.call_site,
        event.attributes,
        origin.trace_id,
        origin.span_id,
        thread=origin.thread,
        task=origin.task,
        extra=EMPTY if entity is None else {ENTITY: entity.as_metadata()},
    )


def _emit(record: Record, senders: Iterable[Tracker]) -> None:
    for tracker in senders:
        tracker.begin()
        tracker.emit(record)
