"""Puts spans into lanes: those of one lane are within each other, or one after another.

Viewers draw a lane as a stack, and leave out or misplace a span that overlaps another one of its
lane without being within it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.analysis.traces.span import Lineage, Span
    from otel_ext.formats.write.written import TraceToWrite

__all__ = ["Drawn", "lane_name", "lanes_of"]


class Drawn(NamedTuple):
    """A span with its place.

    Attributes:
        start: When it starts, nanoseconds since the epoch.
        end: When it ends, or an open one is left.
        trace: The number of its trace.
        number: Its own number in the trace.
        span: The span.
        lane: The number of its lane among those of its lineage.
    """

    start: int
    end: int
    trace: int
    number: int
    span: Span
    lane: int


def lanes_of(traces: Iterable[TraceToWrite], *, open_end: int | None = None) -> list[Drawn]:
    """Return the spans of all traces by their starts, each with its lane.

    Of several lanes that have room, a span gets that of its parent, else the one with the
    shortest span around it, else the first that is empty.

    Args:
        traces: The traces.
        open_end: When open spans end; None for the last time that is known of each.
    """
    waiting = [
        (
            trace.times.starts[number],
            at,
            trace.times.ends[number] if open_end is None or not span.is_open else open_end,
            number,
            trace.tree.parents[number],
            span,
        )
        for at, trace in enumerate(traces)
        for number, span in trace.spans()
    ]
    # What starts at the same moment: a trace as a whole, so that writers can write one after
    # another, and in it the longest, which the others may be within.
    waiting.sort(key=lambda one: (one[0], one[1], -one[2], one[3]))
    lineages: dict[Lineage, _Lanes] = {}
    placed: dict[tuple[int, int], tuple[Lineage, int]] = {}
    drawn: list[Drawn] = []
    for start, at, end, number, parent, span in waiting:
        lanes = lineages.get(span.lineage)
        if lanes is None:
            lanes = lineages[span.lineage] = _Lanes()
        beside = placed.get((at, parent))
        same = beside is not None and beside[0] == span.lineage
        preferred = beside[1] if beside is not None and same else -1
        lane = lanes.place(start, end, (at, number), preferred, (at, parent))
        placed[at, number] = span.lineage, lane
        drawn.append(Drawn(start, end, at, number, span, lane))
    return drawn


def lane_name(name: str, lane: int) -> str:
    """Return the name of a lane beside the first one.

    >>> lane_name("MainThread", 0), lane_name("MainThread", 1)
    ('MainThread', 'MainThread (2)')
    """
    return f"{name} ({lane + 1})" if lane else name


class _Lanes:
    """The lanes of one lineage, at the start of its latest span."""

    def __init__(self) -> None:
        # The spans that are open in each lane, the innermost last: its end, and which it is.
        self._stacks: list[list[tuple[int, tuple[int, int]]]] = []
        # The ends of the innermost ones, the first to end first, and their lanes.
        self._ends: list[tuple[float, int]] = []
        self._empty: list[int] = []

    def place(
        self, start: int, end: int, key: tuple[int, int], preferred: int, parent: tuple[int, int]
    ) -> int:
        """Return the lane for a span that starts no earlier than those before it.

        Args:
            start: When it starts.
            end: When it ends.
            key: Which it is.
            preferred: The lane of its parent; negative if it has none here.
            parent: Which its parent is.
        """
        self._close(start)
        lane = self._with_room(end, preferred, parent)
        stack = self._stacks[lane]
        if stack:
            del self._ends[bisect_left(self._ends, (stack[-1][0], lane))]
        stack.append((end, key))
        insort(self._ends, (end, lane))
        return lane

    def _with_room(self, end: int, preferred: int, parent: tuple[int, int]) -> int:
        stack = self._stacks[preferred] if preferred >= 0 else []
        if stack and stack[-1][1] == parent and end <= stack[-1][0]:
            return preferred
        around = bisect_left(self._ends, (end, -1))
        if around < len(self._ends):
            return self._ends[around][1]
        if self._empty:
            return heappop(self._empty)
        self._stacks.append([])
        return len(self._stacks) - 1

    def _close(self, now: int) -> None:
        """End the spans that have ended at a time: each once, so all together cost little."""
        count = bisect_right(self._ends, (now, inf))
        ended = self._ends[:count]
        del self._ends[:count]
        for _, lane in ended:
            stack = self._stacks[lane]
            while stack and stack[-1][0] <= now:
                stack.pop()
            if stack:
                insort(self._ends, (stack[-1][0], lane))
            else:
                heappush(self._empty, lane)
