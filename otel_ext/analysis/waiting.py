"""Which children a span may have waited for, and which of them ran at the same time."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Waiting", "children_in", "waits_for"]


def waits_for(trace: TraceTree, times: Times, parent: int, child: int) -> bool:
    """Whether a parent may have waited for a child."""
    above, below = trace.spans[parent], trace.spans[child]
    if above.kind == "producer" and below.kind == "consumer":
        return False
    starts, ends = times.starts, times.ends
    if starts[child] < starts[parent] or ends[parent] < ends[child]:
        shared = min(ends[parent], ends[child]) - max(starts[parent], starts[child])
        if shared < 0 or (shared == 0 and ends[child] > starts[child]):
            return False
    if above.process != below.process or above.state == "missing":
        return True
    # In one process it is known which ended first.
    return ends[child] <= ends[parent] and (above.end_ns is None or below.end_ns is not None)


def children_in(trace: TraceTree, times: Times, number: int, start: int, end: int) -> list[int]:
    """Return the children that a span may have waited for in a piece of it, by their start."""
    children = trace.children[number]
    if not children:
        return []
    starts, ends = times.starts, times.ends
    if len(children) == 1:  # the usual case
        child = children[0]
        is_within = starts[child] < end and start < ends[child] > starts[child]
        return [child] if is_within and waits_for(trace, times, number, child) else []
    found = [
        child
        for child in children
        if starts[child] < end
        and start < ends[child] > starts[child]
        and waits_for(trace, times, number, child)
    ]
    if len(found) > 1:  # clocks may have been adjusted
        found.sort(key=starts.__getitem__)
    return found


class Waiting:
    """The children that a span may have waited for.

    Args:
        trace: The trace.
        times: Its times.
        number: The span.
        start: The beginning of the piece of it that counts.
        end: The end of that piece.
        children: The children that it may have waited for then, as by `children_in`.

    Attributes:
        children: Their numbers, by their start.
    """

    __slots__ = ("_latest", "children", "end", "number", "spans", "start", "times")

    def __init__(
        self,
        trace: TraceTree,
        times: Times,
        number: int,
        start: int,
        end: int,
        children: list[int],
    ) -> None:
        self.spans = trace.spans
        self.times = times
        self.number = number
        self.start = start
        self.end = end
        self._latest: Sequence[tuple[int, int]] = ()
        self.children = children

    def window(self, child: int) -> tuple[int, int]:
        """Return the piece of a child that is within the piece of this span."""
        return max(self.times.starts[child], self.start), min(self.times.ends[child], self.end)

    def beside(self, start: int, end: int, *, but: int = -1) -> int:
        """Return the child other than `but` that ran in a period, the last to end; -1 if none."""
        if not self.children:
            return -1
        starts, ends = self.times.starts, self.times.ends
        started = bisect_left(self.children, end, key=starts.__getitem__)
        if not started:
            return -1
        if not self._latest:
            self._latest = _last_two(self.children, ends)
        last, one_before = self._latest[started - 1]
        found = one_before if last == but else last
        return found if found >= 0 and ends[found] > start else -1


def _last_two(numbers: Sequence[int], ends: Sequence[int]) -> list[tuple[int, int]]:
    """Return the two that end last among each span and those before it; -1 for none."""
    found: list[tuple[int, int]] = []
    last = one_before = -1
    for number in numbers:
        if last < 0 or ends[number] > ends[last]:
            last, one_before = number, last
        elif one_before < 0 or ends[number] > ends[one_before]:
            one_before = number
        found.append((last, one_before))
    return found
