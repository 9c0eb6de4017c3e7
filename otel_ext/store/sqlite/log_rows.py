"""Finds the logs of one day."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from otel_ext.store.protocol import StoredLog
from otel_ext.store.sqlite.schema import has_texts
from otel_ext.store.sqlite.texts import text_match

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from otel_ext.store.queries import LogQuery

__all__ = ["logs_in"]


def logs_in(
    connection: sqlite3.Connection, day: int, query: LogQuery, id_of: Callable[[int], str]
) -> Iterator[StoredLog]:
    """Yield logs and events, those stored last first.

    Args:
        connection: Of the day.
        day: The number of the day.
        query: Which are wanted.
        id_of: Returns the id of a process by its number.
    """
    if query.text and not has_texts(connection):
        query = query._replace(text="")
    where, values = _conditions(day, query)
    statement = (
        "select log.number, time_ns, kind, level, text, process, trace.id, span, line, log.change"
        f" from log left join trace on trace.number = log.trace where {where}"
        " order by log.number desc"
    )
    with closing(connection.execute(statement, values)) as rows:
        for number, time_ns, kind, level, text, process, trace, span, line, change in rows:
            yield StoredLog(
                place=(day, number),
                time_ns=time_ns,
                kind=kind,
                level=level,
                text=text,
                process=id_of(process),
                trace_id=trace.hex() if trace else "",
                span_id=span.hex() if span else "",
                line=line,
                change=change,
            )


def _conditions(day: int, query: LogQuery) -> tuple[str, list[object]]:
    conditions: list[tuple[str, object]] = [("time_ns >= ?", query.since_ns)]
    if query.trace_id:
        condition = "log.trace = (select number from trace where id = ?)"
        conditions.append((condition, bytes.fromhex(query.trace_id)))
    if query.until_ns is not None:
        conditions.append(("time_ns < ?", query.until_ns))
    if query.before is not None and query.before[0] == day:
        conditions.append(("log.number < ?", query.before[1]))
    if query.after_change:
        conditions.append(("log.change > ?", query.after_change))
    if match := text_match(query.text):
        condition = "log.number in (select rowid from log_text where log_text match ?)"
        conditions.append((condition, match))
    where = " and ".join(condition for condition, _ in conditions)
    values = [value for _, value in conditions]
    if query.levels:
        marks = ", ".join("?" * len(query.levels))
        return f"{where} and level in ({marks})", [*values, *query.levels]
    return where, values
