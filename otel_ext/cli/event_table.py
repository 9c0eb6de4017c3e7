"""Formats events as a table that fits the terminal and is safe to print, or as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.journal.read.incarnations import base_id
from otel_ext.observe.process_names import ProcessName
from otel_ext.readable import local_time
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import LONGEST, printable
from otel_ext.views.trace_view import short_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.observe.event_query import RecordedEvent
    from otel_ext.terminal.canvas import Canvas

__all__ = ["event_json", "event_lines"]

_COLUMNS: Final = (
    Column("TIME"),
    Column("NAME", share=0.3),
    Column("ABOUT", share=0.15),
    Column("PROCESS", share=0.15, optional=2),
    Column("TRACE", optional=1),
    Column("ATTRIBUTES", share=0.4),
)
_NOBODY: Final = ProcessName()


def event_lines(
    events: Sequence[RecordedEvent],
    names: Mapping[str, ProcessName],
    canvas: Canvas,
    *,
    heading: bool = True,
) -> Iterator[str]:
    """Yield the headings and one line for each event, without newlines.

    Args:
        events: The events.
        names: How processes call themselves, by their ids.
        canvas: Width and colors.
        heading: Whether to yield the headings.
    """
    rows = [_row(event, names, dated=_has_another_day(events)) for event in events]
    # A column in which nothing stands is left out.
    kept = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    columns = [_COLUMNS[at] for at in kept]
    lines = table_lines(columns, [[row[at] for at in kept] for row in rows], canvas)
    if not heading:
        next(lines)
    yield from lines


def _row(event: RecordedEvent, names: Mapping[str, ProcessName], *, dated: bool) -> tuple[str, ...]:
    entity, place = event.entity, event.place
    label = _name_of(place.process, names).label or base_id(place.process)
    return (
        local_time(place.time_ns, date=dated),
        printable(event.name, LONGEST),
        "" if entity is None else printable(f"{entity.type}:{entity.id}", LONGEST),
        printable(label, LONGEST),
        printable(short_id(event.trace_id)),
        format_attributes(event.attributes, PLAIN_WIDTH),
    )


def _has_another_day(events: Sequence[RecordedEvent]) -> bool:
    """Whether one of some events is not of today."""
    midnight = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
    return any(event.place.time_ns < midnight * 10**9 for event in events)


def _name_of(process: str, names: Mapping[str, ProcessName]) -> ProcessName:
    own = names.get(process, _NOBODY)
    return own if own.label else names.get(base_id(process), _NOBODY)


def event_json(event: RecordedEvent, names: Mapping[str, ProcessName]) -> bytes:
    """Return one event as a JSON object in UTF-8, with the keys that the docs list."""
    place, entity = event.place, event.entity
    name = _name_of(place.process, names)
    fields: dict[str, object] = {
        "time": format_ns(place.time_ns),
        "kind": event.kind,
        "name": event.name,
        "level": event.level or None,
        "trace_id": event.trace_id or None,
        "span_id": event.span_id or None,
        "process": {
            "id": place.process,
            "pid": name.pid,
            "service": name.service or None,
            "command": name.command,
        },
        "entity": None if entity is None else entity.as_metadata(),
        "attributes": event.attributes,
        "cursor": str(place),
    }
    return encode_object(fields)
