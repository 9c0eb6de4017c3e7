"""How spans stand in rows of the SQLite store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import orjson

from otel_ext.analysis.traces.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from otel_ext.analysis.traces.span import Site, State

__all__ = [
    "ABANDONED",
    "BUCKETS_PER_DOUBLING",
    "CANCELLED",
    "CODES",
    "ENDED",
    "ERROR",
    "FIRST_END",
    "SOURCE_BITS",
    "SPAN_ARRAYS",
    "STALLED",
    "OldRow",
    "Operation",
    "bucket_of",
    "code_of",
    "duration_in",
    "rank_of",
    "rows_in",
    "spans_in",
    "winner_of",
]

BUCKETS_PER_DOUBLING: Final = 8
"""Durations are counted in so many buckets from one to its double: within 4.5 %."""

CODES: Final[tuple[tuple[str, State], ...]] = (
    ("start", "running"),
    ("start", "stalled"),
    ("update", "running"),
    ("update", "stalled"),
    ("end", "abandoned"),
    ("end", "cancelled"),
    ("end", "error"),
    ("end", "ended"),
)
"""Phase and state of a span, by the number that stands for both; what has ended comes last."""

_CODE_OF: Final[dict[tuple[str, State], int]] = {
    phase_and_state: code for code, phase_and_state in enumerate(CODES)
}
_STANDINGS: Final = (0, 0, 1, 1, 2, 3, 3, 3)
STALLED: Final = frozenset({1, 3})
ABANDONED: Final = 4
FIRST_END: Final = 4
CANCELLED: Final = 5
ERROR: Final = 6
ENDED: Final = 7


class Operation(NamedTuple):
    """What spans have in common: their name, their kind and where they were opened."""

    name: str
    kind: str
    site: Site


class OldRow(NamedTuple):
    """What the merge rule and the roll-up need of a row."""

    number: int
    state: int
    seq: int
    seen_ns: int
    is_opener: int


def code_of(span: Span) -> int:
    """Return the number of a span's phase and state."""
    return _CODE_OF[span.phase, span.state]


def rank_of(row: OldRow) -> tuple[int, int, int]:
    """Return what the merge rule compares among the records of one span and process.

    It is `record.merge.Rank` without the process, which is the same for all of them.
    """
    standing, microseconds = _STANDINGS[row.state], row.seen_ns // 1_000
    return (standing, microseconds, row.seq) if standing > 1 else (standing, row.seq, microseconds)


def winner_of(rows: Collection[OldRow]) -> int | None:
    """Return the phase and state of the row that the merge rule prefers; None without rows."""
    return max(rows, key=rank_of).state if rows else None


def bucket_of(duration_ns: int) -> int:
    """Return the number of the bucket of a duration.

    >>> bucket_of(0), bucket_of(1_000), bucket_of(2_000) - bucket_of(1_000)
    (0, 79, 8)
    """
    return int(math.log2(duration_ns) * BUCKETS_PER_DOUBLING) if duration_ns > 0 else 0


def duration_in(bucket: int) -> int:
    """Return the duration in the middle of a bucket, in nanoseconds.

    >>> 0.955 < duration_in(bucket_of(1_000_000)) / 1_000_000 < 1.045
    True
    """
    return round(math.pow(2.0, (bucket + 0.5) / BUCKETS_PER_DOUBLING))


# At a third of the cost of `Span(...)`.
_new_span: Final = cast(
    "Callable[[type[Span], tuple[object, ...]], Span]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)

SOURCE_BITS: Final = 64
"""The source of a span is its day above so many bits for the number of its row."""

_SPAN_COLUMNS: Final = (
    *("number", "hex(id)", "hex(parent)", "process", "operation", "state"),
    *("start_ns", "end_ns", "seen_ns", "seq", "thread", "task", "ifnull(task_name, '')"),
    *("ifnull(error, '')", "is_opener"),
)

# Their hex digits are made lower-case in all rows at once.
_IDS: Final = (1, 2)

SPAN_ARRAYS: Final = ", ".join(f"json_group_array({column})" for column in _SPAN_COLUMNS)
"""Selects all spans at once, by column: that takes less than a step of Python for each row, and
other threads run meanwhile."""


def rows_in(arrays: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return the rows in what `SPAN_ARRAYS` has selected, and in arrays of ids behind it."""
    columns = [
        orjson.loads(array.lower() if at in _IDS or at >= len(_SPAN_COLUMNS) else array)
        for at, array in enumerate(arrays)
    ]
    return list(zip(*columns, strict=True))


def spans_in(
    rows: Iterable[tuple[Any, ...]],
    trace_id: str,
    day: int,
    operations: Mapping[int, Operation],
    processes: Mapping[int, str],
) -> list[Span]:
    """Return the spans of a trace in rows of `SPAN_ARRAYS`.

    This runs for each span of the largest traces, so speed matters.

    Args:
        rows: The rows.
        trace_id: The id of the trace.
        day: The number of its day.
        operations: By their numbers.
        processes: The ids of the processes by their numbers.
    """
    found: list[Span] = []
    first = day << SOURCE_BITS
    for (
        number, span_id, parent, process, operation, state, start, end, seen, seq,
        thread, task, task_name, error, _,
    ) in rows:  # fmt: skip
        name, kind, site = operations[operation]
        phase, standing = CODES[cast("int", state)]
        process_id = processes[process]
        fields = (
            trace_id,
            span_id,
            parent,
            name,
            standing,
            start,
            end,
            seen,
            kind,
            phase,
            seq,
            process_id,
            (process_id, thread, task, task_name),
            site,
            error,
            first | number,
        )
        found.append(_new_span(Span, fields))
    return found
