"""Finds the events of one day, and the entities that live."""

from __future__ import annotations

import re
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.observe.event_query import EVENT_KINDS, event_in
from otel_ext.record.entities import CHECKPOINT, Entity
from otel_ext.store.entities import StoredEntity
from otel_ext.store.entries import MOST_NUMBER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from otel_ext.observe.event_query import EventQuery, RecordedEvent

__all__ = ["events_in", "living_entities", "statement_of"]

_LIVING: Final = (
    "select process.id, type, entity.id, seq, time_ns, line, entity.change from entity"
    " join process on process.number = entity.process"
    " where not deleted and (type = :checkpoint or not has_ended) and :type in ('', type)"
    " order by time_ns desc, entity.number desc"
)
_TRACE_DIGITS: Final = 32
_HEX: Final = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_SPECIAL: Final = re.compile(r"[*?\[]")
# Shorter names are stored whole.
_MOST_NAME: Final = 4_000


def events_in(
    connection: sqlite3.Connection, query: EventQuery, processes: Sequence[int] | None
) -> Iterator[RecordedEvent]:
    """Yield the wanted events, the newest first.

    Args:
        connection: Of the day.
        query: Which are wanted.
        processes: The numbers of the processes that are wanted; None for all.
    """
    with closing(connection.execute(*statement_of(query, processes))) as rows:
        # Among those of one time and number, which are of several processes, the process decides.
        for _, same in groupby(rows, itemgetter(0, 1)):
            yield from sorted(_wanted(same, query), key=attrgetter("place"), reverse=True)


def statement_of(
    query: EventQuery, processes: Sequence[int] | None = None
) -> tuple[str, list[object]]:
    """Return the SQL that finds the wanted events, and few others, and its values."""
    where, values = _conditions(query, processes)
    columns = "time_ns, seq, text, line"
    return f"select {columns} from log where {where} order by time_ns desc, seq desc", values


def _wanted(
    rows: Iterable[tuple[int, int, str, bytes]], query: EventQuery
) -> Iterator[RecordedEvent]:
    for _, _, name, line in rows:
        if query.name and len(name) < _MOST_NAME and not fnmatchcase(name, query.name):
            continue
        event = event_in(line)
        if event is not None and query.matches(event):
            yield event


def _conditions(query: EventQuery, processes: Sequence[int] | None) -> tuple[str, list[object]]:
    """Return an SQL condition that holds for all wanted events, and for few others."""
    # Written out, so that the index of events is used for these alone.
    kinds = " or ".join(f"kind = '{kind}'" for kind in EVENT_KINDS if kind in query.kinds)
    found: list[tuple[str, object]] = [("time_ns >= ?", _number(query.since_ns))]
    if query.until_ns is not None:
        found.append(("time_ns <= ?", _number(query.until_ns)))
    if query.before is not None:
        found.append(("time_ns <= ?", _number(query.before.time_ns)))
    if query.correlation:
        found.append(("correlation = ?", query.correlation[:_MOST_NAME]))
    if processes is not None:
        numbers = orjson.dumps(processes).decode()
        found.append(("process in (select value from json_each(?))", numbers))
    if query.entity_type or query.entity_id:
        found.append(("instr(line, ?)", b'"entity"'))
    condition, name = _name_condition(query.name)
    if condition:
        found.append((condition, name))
    where = f"({kinds or 'false'}) and " + " and ".join(condition for condition, _ in found)
    values = [value for _, value in found]
    if query.trace_id:
        within = "trace in (select number from trace where id between ? and ?)"
        return f"{where} and {within}", [*values, *_trace_range(query.trace_id)]
    return where, values


def _name_condition(pattern: str) -> tuple[str, str]:
    """Return a condition for the beginning of a name, and its value; empty without one."""
    beginning = _SPECIAL.split(pattern, maxsplit=1)[0]
    if not beginning or len(beginning) >= _MOST_NAME or "\0" in beginning:
        return "", ""
    if beginning == pattern:
        return "text = ?", pattern
    return f"substr(text, 1, {len(beginning)}) = ?", beginning


def _trace_range(beginning: str) -> tuple[bytes, bytes]:
    """Return the first and the last id that begins so; an empty range if none can."""
    if not _HEX.fullmatch(beginning):
        return b"\xff", b""
    first, last = (bytes.fromhex(beginning.ljust(_TRACE_DIGITS, digit)) for digit in "0f")
    return first, last


def _number(value: int) -> int:
    return max(min(value, MOST_NUMBER), -MOST_NUMBER)


def living_entities(connection: sqlite3.Connection, kind: str) -> list[StoredEntity]:
    """Return the entities that live, the newest first.

    Args:
        connection: Of the file common to all days.
        kind: Only those of this type; empty for all.
    """
    rows = connection.execute(_LIVING, {"checkpoint": CHECKPOINT, "type": kind})
    return [
        StoredEntity(process, Entity(own_kind, name), seq, time_ns, line, change)
        for process, own_kind, name, seq, time_ns, line, change in rows
    ]
