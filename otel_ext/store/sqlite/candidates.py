"""Finds the traces of one day in which a search may find something, in order."""

from __future__ import annotations

import heapq
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from otel_ext.store.sqlite.schema import PLACE_BITS, has_texts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from otel_ext.store.queries import TraceQuery
    from otel_ext.store.sqlite.narrowing import Narrowed

__all__ = ["SUMMARIES", "candidate_rows"]

SUMMARIES: Final = (
    "select trace.number, id, start_ns, end_ns, lead_has_parent, lead_process, processes, spans,"
    " open, stalled, errors, abandoned, cancelled, repeats, is_agent, change, operation.name"
    " from trace join operation on operation.number = lead_operation"
)
"""Selects the rows that lists of traces are made of; a condition may follow."""


def candidate_rows(
    connection: sqlite3.Connection, query: TraceQuery, narrowed: Narrowed, after: int | None
) -> Iterator[tuple[Any, ...]]:
    """Yield rows of `SUMMARIES`.

    Args:
        connection: Of the day.
        query: Which traces are wanted.
        narrowed: The conditions for its search.
        after: Begin behind the trace of this number; None for the first.
    """
    where, values = _conditions(query, narrowed)
    is_by_time = query.order in {"newest", "oldest"}
    falls = query.order in {"newest", "longest"}
    direction = "desc" if falls else "asc"
    by = "trace.number" if is_by_time else "end_ns - start_ns"
    if not narrowed.spans or not has_texts(connection):
        if after is not None and is_by_time:
            where, values = f"{where} and trace.number {'<' if falls else '>'} ?", (*values, after)
        statement = f"{SUMMARIES} where {where} order by {by} {direction}"
        with closing(connection.execute(statement, values)) as rows:
            yield from rows
        return
    statement = f"{SUMMARIES} where {where} and trace.number = ?"
    found = (
        row
        for number in _numbers(connection, narrowed, falls=falls or not is_by_time)
        if after is None or not is_by_time or (number < after if falls else number > after)
        for row in connection.execute(statement, (*values, number))
    )
    if is_by_time:
        yield from found
    else:
        yield from sorted(found, key=lambda row: row[3] - row[2], reverse=falls)


def _conditions(query: TraceQuery, narrowed: Narrowed) -> tuple[str, tuple[object, ...]]:
    parts, values = ["spans > 0"], list[object]()
    if query.since_ns:
        parts.append("start_ns >= ?")
        values.append(query.since_ns)
    if query.until_ns is not None:
        parts.append("start_ns < ?")
        values.append(query.until_ns)
    if query.agents_only:
        parts.append("is_agent = 1")
    if narrowed.where:
        parts.append(f"({narrowed.where})")
        values.extend(narrowed.values)
    return " and ".join(parts), tuple(values)


def _numbers(connection: sqlite3.Connection, narrowed: Narrowed, *, falls: bool) -> Iterator[int]:
    """Yield the numbers of traces by the indexes of texts, each once."""
    direction = "desc" if falls else "asc"
    streams = [
        connection.execute(
            f"select rowid >> {PLACE_BITS} from span_text where span_text match ?"
            f" order by rowid {direction}",
            (narrowed.spans,),
        ),
        # Open spans are not in the index yet; of shared traces there may be others than counted.
        connection.execute(
            f"select number from trace where open > 0 or repeats > 0 order by number {direction}"
        ),
        *(
            connection.execute(
                "select trace from log where trace is not null and number in"
                f" (select rowid from log_text where log_text match ?) order by trace {direction}",
                (expression,),
            )
            for expression in narrowed.logs
        ),
    ]
    latest = None
    for (number,) in heapq.merge(*streams, reverse=falls):
        if number != latest:
            latest = number
            yield number
