"""Sums over ended spans by minute, operation, process, state and duration.

They are kept as spans are stored: to sum up a million spans on request takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.store.protocol import StoredOperation
from otel_ext.store.sqlite.rows import ERROR, bucket_of, duration_in
from otel_ext.store.sqlite.statistics import trace_id_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

__all__ = ["Ended", "Sums", "operations_in"]

_MINUTE_NS: Final = 60 * 10**9
_ADD: Final = (
    "insert into sum values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict do update set spans = spans + excluded.spans,"
    " total_ns = total_ns + excluded.total_ns,"
    " longest_ns = max(longest_ns, excluded.longest_ns), latest = max(latest, excluded.latest)"
)


class Ended(NamedTuple):
    """An ended span: the numbers of its operation, process and state, and its times."""

    operation: int
    process: int
    state: int
    start_ns: int
    end_ns: int


class Sums:
    """What is added to the sums by one batch."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int, int, int, int], list[int]] = {}

    def add(self, span: Ended, number: int, by: int) -> None:
        """Count a span.

        Args:
            span: The span.
            number: The number of its row.
            by: 1, or -1 to count it no longer.
        """
        duration = max(span.end_ns - span.start_ns, 0)
        key = (
            span.start_ns // _MINUTE_NS,
            span.operation,
            span.process,
            span.state,
            bucket_of(duration),
        )
        sums = self._sums.get(key)
        if sums is None:
            self._sums[key] = [by, by * duration, duration, number]
            return
        sums[0] += by
        sums[1] += by * duration
        sums[2] = max(sums[2], duration)
        sums[3] = max(sums[3], number)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add all to the stored sums."""
        connection.executemany(_ADD, ((*key, *sums) for key, sums in self._sums.items()))


class _Total:
    """What is known so far of one operation and process."""

    def __init__(self) -> None:
        self.errors = self.open = self.total = self.longest = self.latest = 0
        self.durations: dict[int, int] = {}


def operations_in(
    connection: sqlite3.Connection, since_ns: int, until_ns: int, id_of: Callable[[int], str]
) -> Sequence[StoredOperation]:
    """Return what is known of each operation and process in some time.

    Args:
        connection: Of the day.
        since_ns: Of spans that started in the minute of this time or later.
        until_ns: Of spans that started before the minute of this time has ended.
        id_of: Returns the id of a process by its number.
    """
    found: dict[tuple[int, int], _Total] = {}
    rows = connection.execute(
        "select operation, process, state, bucket, sum(spans), total(total_ns), max(longest_ns),"
        " max(latest) from sum where minute >= ? and minute <= ? and spans > 0 group by 1, 2, 3, 4",
        (since_ns // _MINUTE_NS, until_ns // _MINUTE_NS),
    )
    for operation, process, state, bucket, spans, total, longest, latest in rows:
        sums = found.setdefault((operation, process), _Total())
        sums.errors += spans if state == ERROR else 0
        duration = duration_in(bucket)
        sums.durations[duration] = sums.durations.get(duration, 0) + spans
        sums.total += int(total)
        sums.longest = max(sums.longest, longest)
        sums.latest = max(sums.latest, latest)
    rows = connection.execute(
        "select operation, process, count(*), max(number) from span"
        " where end_ns is null and start_ns >= ? and start_ns < ? group by 1, 2",
        (since_ns, until_ns),
    )
    for operation, process, spans, latest in rows:
        sums = found.setdefault((operation, process), _Total())
        sums.open = spans
        sums.latest = max(sums.latest, latest)
    rows = connection.execute("select number, name, kind from operation")
    names: dict[int, tuple[str, str]] = {number: (name, kind) for number, name, kind in rows}
    return [
        StoredOperation(
            name=names[operation][0],
            kind=names[operation][1],
            process=id_of(process),
            errors=sums.errors,
            open=sums.open,
            durations=sums.durations,
            total_ns=sums.total,
            longest_ns=sums.longest,
            latest_trace=trace_id_of(connection, sums.latest),
        )
        for (operation, process), sums in found.items()
    ]
