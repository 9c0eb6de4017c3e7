"""Events, and logs, by name, time, trace, process and correlation id, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.observe.event_query import EVENT_KINDS, EventPlace, EventQuery
from otel_ext.server.api.parameters import wrong_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.observe.event_query import RecordedEvent
    from otel_ext.server.api.context import Context
    from otel_ext.server.api.parameters import Values

__all__ = ["KINDS", "events"]

KINDS: Final = ("event", "log", "all")

_LIMIT: Final = 200


def events(context: Context, values: Values) -> dict[str, object]:
    """Return events and logs."""
    limit, kind, before = values.number("limit", _LIMIT), values.text("kind", "event"), None
    if values.text("cursor"):
        before = EventPlace.parse(values.text("cursor"))
        if before is None:
            raise wrong_cursor()
    query = EventQuery(
        kinds=EVENT_KINDS if kind == "all" else (kind,),
        name=values.text("name"),
        since_ns=values.number("since"),
        until_ns=values.number("until") if values.has("until") else None,
        trace_id=values.text("trace_id"),
        correlation=values.text("correlation_id"),
        process=values.text("process"),
        entity_type=values.text("entity_type"),
        entity_id=values.text("entity_id"),
        before=before,
        limit=limit,
    )
    found = list(context.store.events(query))
    services = context.services()
    return {
        "events": [_document(event, services) for event in found],
        "next": str(found[-1].place) if found and len(found) == limit else None,
    }


def _document(event: RecordedEvent, services: Mapping[str, str]) -> dict[str, object]:
    place, entity = event.place, event.entity
    return {
        "id": str(place),
        "time_ns": str(place.time_ns),
        "kind": event.kind,
        "name": event.name,
        "level": event.level,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "process": place.process,
        "service": services.get(place.process, ""),
        "entity": None if entity is None else entity.as_metadata(),
        "attributes": event.attributes,
    }
