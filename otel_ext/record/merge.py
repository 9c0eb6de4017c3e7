"""The merge rule: which of a span's records tells what is known of it.

A real end beats an abandoned end beats an update beats a start. The winner is
the greatest by one total order, so it depends neither on the order of arrival
nor on how often a record comes. SQL and TypeScript follow the same order, and
the same cases prove it: tests/cases/merge/.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.record.model import Record

__all__ = ["Merger", "Rank", "SpanKey", "merge", "rank"]

SpanKey: TypeAlias = tuple[str, str]
"""Trace id and span id."""

Rank: TypeAlias = tuple[int, int, int, str]
"""What records of one span are compared by; the greatest wins."""

_START: Final = 0
_UPDATE: Final = 1
_ABANDONED_END: Final = 2
_REAL_END: Final = 3
_MICROSECOND: Final = 1_000


def rank(record: Record) -> Rank:
    """Return what decides between `record` and others of the same span.

    First the standing: real end, abandoned end, update, start. Among ends the
    later time wins: a span that two processes ended, because it was open at a
    fork, was open until the last of them let go of it. Among updates and starts
    the higher `seq` wins. What is still equal is decided by the other of the two
    and then by the id of the process. Times count in microseconds, as in a file.

    >>> from otel_ext.record.model import Process, Record
    >>> start = Record("span", "start", "job", 5_000, 9, Process("a"))
    >>> end = Record("span", "end", "job", 8_000, 2, Process("a"))
    >>> rank(end) > rank(end._replace(abandoned="owner-died")) > rank(start)
    True
    """
    microseconds = record.time_ns // _MICROSECOND
    if record.phase == "end":
        standing = _REAL_END if record.abandoned is None else _ABANDONED_END
        return standing, microseconds, record.seq, record.process.id
    standing = _UPDATE if record.phase == "update" else _START
    return standing, record.seq, microseconds, record.process.id


class Merger:
    """Takes records one by one, in any order, and keeps the one that tells most of each span.

    Holds one record for each span it has seen and nothing else. Not guarded by
    a lock: let one thread use it, or guard it.

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

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._spans: dict[SpanKey, Record] = {}
        self.add_all(records)

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def spans(self) -> Mapping[SpanKey, Record]:
        """The winning record of each span, by trace id and span id; a live view."""
        return MappingProxyType(self._spans)

    def add(self, record: Record) -> bool:
        """Take one record in.

        Returns:
            Whether something is known now that was not: the span is new, or
            `record` beats the one that was kept. False for what is no span.
        """
        if record.kind != "span":
            return False
        kept = self._spans.get(record.key)
        if kept is not None and rank(record) <= rank(kept):
            return False
        self._spans[record.key] = record
        return True

    def add_all(self, records: Iterable[Record]) -> int:
        """Take records in, and return how many of them changed what is known."""
        return sum(map(self.add, records))

    def discard(self, key: SpanKey) -> None:
        """Forget a span, to make room; a record that still comes makes it known again."""
        self._spans.pop(key, None)


def merge(records: Iterable[Record]) -> dict[SpanKey, Record]:
    """Return the winning record of each span in `records`; logs and the like are passed over.

    Args:
        records: In any order, each as often as it comes.

    >>> merge([])
    {}
    """
    return dict(Merger(records).spans)
