"""`EndedTraces`: tells which traces have ended, while spans of them may still arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.span import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.cli.traces.reader import Chosen

__all__ = ["EndedTraces", "is_going_on"]

# A trace has ended after so many looks at it that find nothing new. A part of it in another
# process, such as a job in a queue, may start after all spans so far have ended.
_QUIET_LOOKS: Final = 2
# A trace whose last record is so old has been quiet already.
_QUIET_NS: Final = 3_000_000_000
# How many spans of ended traces are kept in memory, in case that more of them arrive.
_MOST_SPANS: Final = 20_000
# How many traces that were reported are remembered, so that none is reported twice.
_MOST_REPORTED: Final = 100_000

_Key = tuple[str, str]


class _Size(NamedTuple):
    """How many spans a trace has, and how many of them have ended."""

    spans: int
    ended: int


class EndedTraces:
    """Notes how traces grow from one look at them to the next."""

    def __init__(self) -> None:
        self._looks: dict[_Key, tuple[_Size, int]] = {}
        # By key: the size when it was reported; None if its spans were forgotten since.
        self._reported: dict[_Key, _Size | None] = {}
        # The spans of the quiet ones, the one that has been quiet for longest first.
        self._quiet: dict[_Key, int] = {}

    @property
    def has_reported(self) -> bool:
        """Whether a trace was reported."""
        return bool(self._reported)

    def look(self, traces: Iterable[Chosen], now_ns: int) -> list[Chosen]:
        """Return the traces that are quiet now and have changed since they were reported.

        Args:
            traces: All that are in memory.
            now_ns: The time, nanoseconds since the epoch.
        """
        looks: dict[_Key, tuple[_Size, int]] = {}
        found: list[Chosen] = []
        for one in traces:
            key, size = one.key, _size_of(one.tree)
            before, quiet = self._looks.get(key, (None, 0))
            if before is None and _last_ns(one.tree) < now_ns - _QUIET_NS:
                quiet = _QUIET_LOOKS
            elif before == size:
                quiet += 1
            else:
                quiet = 0
            if before is None and key in self._reported:
                self._reported[key] = None
            looks[key] = size, quiet
            if quiet < _QUIET_LOOKS or is_going_on(one.tree):
                self._quiet.pop(key, None)
                continue
            self._quiet.setdefault(key, size.spans)
            if self._reported.get(key) != size:
                found.append(one)
        self._looks = looks
        return found

    def report(self, one: Chosen) -> int | None:
        """Note that a trace is reported.

        Returns:
            None if it is for the first time, else how many spans are new since the last one;
            0 if that is not known.
        """
        size = _size_of(one.tree)
        is_known = one.key in self._reported
        before = self._reported.pop(one.key, None)
        self._reported[one.key] = size
        while len(self._reported) > _MOST_REPORTED:
            del self._reported[next(iter(self._reported))]
        if not is_known:
            return None
        return 0 if before is None else max(size.spans - before.spans, 0)

    def kept(self) -> set[str]:
        """Return the ids of the traces to keep in memory."""
        spans = sum(self._quiet.values())
        dropped: set[_Key] = set()
        while spans > _MOST_SPANS:
            key = next(iter(self._quiet))
            spans -= self._quiet.pop(key)
            dropped.add(key)
        return {key[0] for key in self._looks if key not in dropped}


def is_going_on(tree: TraceTree) -> bool:
    """Return whether a span of a trace is open, and its process not gone."""
    return any(span.state in ALIVE for span in tree.spans)


def _size_of(tree: TraceTree) -> _Size:
    spans = [span for span in tree.spans if span.state != "missing"]
    return _Size(len(spans), sum(not span.is_open for span in spans))


def _last_ns(tree: TraceTree) -> int:
    return max(span.seen_ns for span in tree.spans)
