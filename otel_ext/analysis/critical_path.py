"""The critical path: what the end of a trace had to wait for, as pieces of time.

It goes backward from the end of the root: the child that ended last before a moment is what
its parent waited for then; before that child started, the search goes on from its start. The
pieces tile the root exactly: each moment belongs to one span.

Left out are children that their parent did not wait for: those that ended after it in the
same process, those wholly outside of it, and what a consumer does with a producer's message.
Each of these has a path of its own. Where sibling spans overlap, their order does not show
what waited for what, so the piece names the one that ran beside it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.waiting import Waiting, children_in, waits_for

if TYPE_CHECKING:
    from otel_ext.analysis.traces.span import Lineage
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["CriticalPath", "Segment", "critical_path", "path_roots"]


class Segment(NamedTuple):
    """A piece of time that one span is responsible for.

    Attributes:
        span: Its number in the trace.
        start_ns: Its beginning, nanoseconds since the epoch.
        end_ns: Its end.
        beside: The number of a child that ran meanwhile, so that the span itself may have
            waited; -1 if none did.
        is_inferred: Whether the time alone connects it with what follows: the two ran in
            different tasks or threads.
    """

    span: int
    start_ns: int
    end_ns: int
    beside: int = -1
    is_inferred: bool = False

    @property
    def duration_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.start_ns


class CriticalPath(NamedTuple):
    """The critical path of one root.

    Attributes:
        root: The root's number in the trace.
        segments: By time; together they are as long as the root.
        is_lower_bound: Whether the root is open, so that the path may grow.
    """

    root: int
    segments: tuple[Segment, ...]
    is_lower_bound: bool = False


def path_roots(trace: TraceTree, times: Times) -> tuple[int, ...]:
    """Return the spans that have a path of their own: roots, and what no parent waited for."""
    return tuple(
        number
        for number, parent in enumerate(trace.parents)
        if parent < 0 or not waits_for(trace, times, parent, number)
    )


def critical_path(trace: TraceTree, times: Times, root: int = 0) -> CriticalPath:
    """Return the critical path of a span; usually of one of `path_roots`.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.times import times_of
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 10, 90, 90),
    ...     ]
    ... )
    >>> [segment[:3] for segment in critical_path(trace, times_of(trace)).segments]
    [(0, 0, 10), (1, 10, 90), (0, 90, 100)]
    """
    return _Walk(trace, times, root).path()


class _Walk:
    """The way back from the end of a span to its start, without recursion."""

    def __init__(self, trace: TraceTree, times: Times, root: int) -> None:
        self._trace = trace
        self._times = times
        self._root = root
        self._segments: list[Segment] = []
        # What is left of the spans above the current one: those with several children, and
        # the piece before the only child of others.
        self._waiting: list[_Visit | tuple[int, int, int]] = []
        self._is_inferred = False

    def path(self) -> CriticalPath:
        root = self._root
        self._enter(root, self._times.starts[root], self._times.ends[root])
        waiting, emit = self._waiting, self._emit
        while waiting:
            last = waiting[-1]
            if isinstance(last, _Visit):
                self._go_on(last)
            else:
                waiting.pop()
                emit(*last)
        self._segments.reverse()
        is_open = self._trace.spans[root].is_open
        return CriticalPath(root, tuple(self._segments), is_open)

    def _enter(self, number: int, start: int, end: int) -> None:
        """Follow a piece of a span down to one with several children, or with none."""
        trace, times, waiting, segments = self._trace, self._times, self._waiting, self._segments
        starts, ends = times.starts, times.ends
        while children := children_in(trace, times, number, start, end):
            if len(children) > 1:
                waiting.append(_Visit(trace, times, number, start, end, children))
                return
            # The usual case, which needs no order and has no span beside it.
            child = children[0]
            child_start, child_end = starts[child], ends[child]
            if child_end < end:
                segments.append(Segment(number, child_end, end, -1, self._is_inferred))
                self._is_inferred = False
                end = child_end
            if start < child_start:
                waiting.append((number, start, child_start))
                start = child_start
            number = child
        if start < end:
            self._emit(number, start, end)

    def _go_on(self, visit: _Visit) -> None:
        """Go on from where a span with several children was left."""
        child = visit.next_child()
        start, end = (visit.start, visit.start) if child < 0 else visit.window(child)
        if end < visit.until:
            self._emit(visit.number, end, visit.until, visit.beside(end, visit.until))
        if child < 0:
            self._waiting.pop()
            return
        self._is_inferred = self._is_inferred or visit.is_inferred(child)
        visit.until, visit.after = start, child
        self._enter(child, start, end)

    def _emit(self, number: int, start: int, end: int, beside: int = -1) -> None:
        self._segments.append(Segment(number, start, end, beside, self._is_inferred))
        self._is_inferred = False


class _Visit(Waiting):
    """A span with several children on the way back in time.

    Attributes:
        until: Up to where the search has come.
        after: The child that it has just come from; -1 at first.
    """

    __slots__ = ("_by_lineage", "_ordered", "after", "until")

    def __init__(
        self,
        trace: TraceTree,
        times: Times,
        number: int,
        start: int,
        end: int,
        children: list[int],
    ) -> None:
        super().__init__(trace, times, number, start, end, children)
        self.until = end
        self.after = -1
        # The last that ended comes last, here and for each lineage if there are several.
        self._ordered: list[int] = []
        self._by_lineage: dict[Lineage, list[int]] | None = None
        self._sort()

    def _sort(self) -> None:
        spans, starts, ends, last = self.spans, self.times.starts, self.times.ends, self.end
        self._ordered = sorted(
            self.children, key=lambda child: (min(ends[child], last), -starts[child], -child)
        )
        if len({spans[child].lineage for child in self.children}) > 1:
            by_lineage = self._by_lineage = {}
            for child in self._ordered:
                by_lineage.setdefault(spans[child].lineage, []).append(child)

    def next_child(self) -> int:
        """Return the child that ended last, at `until` or before; -1 if no child did.

        What runs in a task or thread of its own was preceded by what ran there before, or by
        what the parent itself did, the later of the two: a thread of a pool does unrelated work
        one after another.
        """
        by_lineage = self._by_lineage
        if by_lineage is not None and self.after >= 0:
            own, lineage = self.spans[self.number].lineage, self.spans[self.after].lineage
            if lineage != own:
                found = [by_lineage.get(one) or [] for one in (lineage, own)]
                later = max(found, key=self._last_end)
                if later:
                    return later.pop()
        return self._last(self._ordered, take=True)

    def is_inferred(self, child: int) -> bool:
        """Whether the time alone shows that a child was waited for, and not one beside it."""
        if self._by_lineage is None:
            return False
        spans = self.spans
        then = spans[self.number if self.after < 0 else self.after]
        if spans[child].process != then.process or spans[child].lineage == then.lineage:
            return False
        return self.beside(*self.window(child), but=child) >= 0

    def _last_end(self, ordered: list[int]) -> int:
        """Return the end of the last candidate; less than any time if the list is empty."""
        last = self._last(ordered)
        return min(self.times.ends[last], self.end) if last >= 0 else -sys.maxsize

    def _last(self, ordered: list[int], *, take: bool = False) -> int:
        """Return the last candidate that had ended; those after it do not come again."""
        while ordered and min(self.times.ends[ordered[-1]], self.end) > self.until:
            ordered.pop()
        if not ordered:
            return -1
        return ordered.pop() if take else ordered[-1]
