"""Sums over the spans and traces of one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from otel_ext.store.protocol import ErrorGroup, Slice
from otel_ext.store.sqlite.schema import PLACE_BITS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

__all__ = ["Numbers", "errors_in", "slices_in", "trace_id_of"]

Numbers: TypeAlias = tuple[int, int]
"""Numbers of traces: the first, and the first beyond."""


def errors_in(
    connection: sqlite3.Connection, numbers: Numbers, id_of: Callable[[int], str]
) -> Sequence[ErrorGroup]:
    """Return the groups of errors.

    Args:
        connection: Of the day.
        numbers: Of which traces.
        id_of: Returns the id of a process by its number.
    """
    rows = connection.execute(
        "select name, process, file, line, error, count(*), min(end_ns), max(end_ns),"
        " max(span.number), id from span join operation on operation.number = operation"
        " where error is not null and span.number >= ? and span.number < ?"
        " group by operation, process, error",
        _places(numbers),
    ).fetchall()
    return [
        ErrorGroup(
            name=name,
            process=id_of(process),
            file=file,
            line=line,
            text=text,
            spans=spans,
            first_ns=first_ns,
            last_ns=last_ns,
            trace_id=trace_id_of(connection, newest),
            span_id=span_id.hex(),
        )
        for name, process, file, line, text, spans, first_ns, last_ns, newest, span_id in rows
    ]


def slices_in(
    connection: sqlite3.Connection, numbers: Numbers, since_ns: int, width_ns: int
) -> Sequence[Slice]:
    """Return how many traces started in each stretch of time, without the empty ones.

    Args:
        connection: Of the day.
        numbers: Of which traces.
        since_ns: When the first stretch begins, nanoseconds since the epoch.
        width_ns: How long each is.
    """
    rows = connection.execute(
        "select (start_ns - ?) / ?, count(*), sum(errors > 0) from trace"
        " where number >= ? and number < ? and spans > 0 and start_ns >= ? group by 1",
        (since_ns, width_ns, *numbers, since_ns),
    )
    return [Slice(since_ns + row[0] * width_ns, row[1], row[2]) for row in rows]


def _places(numbers: Numbers) -> tuple[int, int]:
    return numbers[0] << PLACE_BITS, numbers[1] << PLACE_BITS


def trace_id_of(connection: sqlite3.Connection, span: int) -> str:
    """Return the id of the trace of the span with a number."""
    query = "select id from trace where number = ?"
    return str(connection.execute(query, (span >> PLACE_BITS,)).fetchone()[0].hex())
