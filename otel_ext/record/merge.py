"""The merge rule: picks the one record of a span that readers use.

A real end beats an abandoned end beats an update beats a start. The winner is the
greatest by one total order, so it depends neither on the order of arrival nor on
repetition. SQL and TypeScript follow the same order and the same cases: tests/cases/merge/.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from otel_ext.record.timestamps import time_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Record

__all__ = ["Merger", "Rank", "SpanKey", "rank", "rank_in"]

SpanKey: TypeAlias = tuple[str, str]
"""Trace id and span id."""

Rank: TypeAlias = tuple[int, int, int, str]
"""The sort key of the records of one span; the greatest wins."""

_START: Final = 0
_UPDATE: Final = 1
_ABANDONED_END: Final = 2
_REAL_END: Final = 3
_MICROSECOND: Final = 1_000


def rank(record: Record) -> Rank:
    """Return the sort key of `record` among the records of its span.

    First comes the standing: real end, abandoned end, update, start. Among ends the
    later time wins: a span that was open at a fork, and that two processes ended, was
    open until the last of them ended it. Among updates and starts the higher `seq` wins.
    Ties are decided by the other of the two, then by the id of the process. Times are
    compared in microseconds, as files hold them.

    >>> from otel_ext.record.model import Process, Record
    >>> start = Record("span", "start", "job", 5_000, 9, Process("a"))
    >>> end = Record("span", "end", "job", 8_000, 2, Process("a"))
    >>> rank(end) > rank(end._replace(abandoned="owner-died")) > rank(start)
    True
    """
    return _rank(
        record.phase,
        record.abandoned,
        record.time_ns // _MICROSECOND,
        record.seq,
        record.process.id,
    )


def rank_in(meta: Mapping[str, object]) -> Rank:
    """Return the same sort key for a record that is not decoded.

    Args:
        meta: The metadata in its line, with process and sequence number.

    >>> rank_in({"phase": "start", "seq": 9, "process": "a", "timestamp": "soon"})
    (0, 9, 0, 'a')
    """
    microseconds = time_of(str(meta.get("timestamp"))) // _MICROSECOND
    seq, process = cast("int", meta["seq"]), str(meta["process"])
    return _rank(meta.get("phase"), meta.get("abandoned"), microseconds, seq, process)


def _rank(phase: object, abandoned: object, microseconds: int, seq: int, process: str) -> Rank:
    if phase == "end":
        standing = _REAL_END if abandoned is None else _ABANDONED_END
        return standing, microseconds, seq, process
    return _UPDATE if phase == "update" else _START, seq, microseconds, process


class Merger:
    """Takes records one by one, in any order, and keeps the winning one of each span.

    Holds one record for each span and nothing else. Not thread-safe.

    >>> from otel_ext.record.model import Process, Record
    >>> start = Record("span", "start", "job", 5, 1, Process("p"), trace_id="a", span_id="b")
    >>> merger = Merger()
    >>> merger.add(start), merger.add(start), len(merger)
    (True, False, 1)
    >>> merger.add(start._replace(phase="end", seq=2))
    True
    >>> merger.spans["a", "b"].phase
    'end'
    """

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: dict[SpanKey, Record] = {}

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def spans(self) -> Mapping[SpanKey, Record]:
        """The winning record of each span, by trace id and span id; a live view."""
        return MappingProxyType(self._spans)

    def add(self, record: Record) -> bool:
        """Add one record.

        Returns:
            Whether the result changed: the span is new, or `record` beats the one that was
            kept. False for records of other kinds.
        """
        if record.kind != "span":
            return False
        kept = self._spans.get(record.key)
        if kept is not None and rank(record) <= rank(kept):
            return False
        self._spans[record.key] = record
        return True
