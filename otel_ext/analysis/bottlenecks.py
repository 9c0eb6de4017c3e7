"""Bottlenecks: which operations the ends of traces wait for, and what a change would bring."""

from __future__ import annotations

from bisect import bisect_left
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.critical_path import critical_path
from otel_ext.analysis.operations import Operation, operation_of
from otel_ext.analysis.traces.times import times_of
from otel_ext.analysis.waiting import Waiting, children_in, waits_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_ext.analysis.critical_path import CriticalPath
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

    Covered = Mapping[int, tuple[int, int]]

__all__ = ["Bottleneck", "bottlenecks_of", "covered_by", "drags", "slacks"]


class Bottleneck(NamedTuple):
    """An operation on the critical paths of some traces, or beside them. In nanoseconds.

    Attributes:
        operation: The operation.
        path_ns: How long it is on the paths, in its spans themselves; 0 if only beside them.
        share: The part of all paths that this is, 0 to 1.
        paths: On how many paths it is.
        drag_ns: By how much the paths would be shorter if its spans took no time.
        slack_ns: By how much each of its spans beside the paths may be longer at least; None
            if all are on them.
        is_lower_bound: Whether one of the paths may still grow.
    """

    operation: Operation
    path_ns: int = 0
    share: float = 0.0
    paths: int = 0
    drag_ns: int = 0
    slack_ns: int | None = None
    is_lower_bound: bool = False


def drags(trace: TraceTree, times: Times, path: CriticalPath, covered: Covered) -> dict[int, int]:
    """Return by how much a path would be shorter without each of its spans, in nanoseconds.

    As much as the span is on the path with all below it, less the time in which a sibling
    beside it ran, which would be waited for instead.

    Args:
        trace: The trace.
        times: Its times.
        path: One of its critical paths.
        covered: As by `covered_by`.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 10, 60, 60),
    ...         Span("t", "c", "a", "load", "ended", 40, 90, 90),
    ...     ]
    ... )
    >>> times = times_of(trace)
    >>> path = critical_path(trace, times)
    >>> drags(trace, times, path, covered_by(trace, path))
    {2: 30, 0: 100}
    """
    found: dict[int, int] = {}
    for parent, on_path in _by_parent(trace, path, covered).items():
        start, end = times.starts[parent], times.ends[parent]
        children = children_in(trace, times, parent, start, end)
        waiting = Waiting(trace, times, parent, start, end, children)
        for number in on_path:
            start, end = covered[number]
            beside = waiting.beside(start, end, but=number)
            found[number] = end - (start if beside < 0 else min(times.ends[beside], end))
    found[path.root] = times.duration(path.root)
    return found


def slacks(trace: TraceTree, times: Times, covered: Covered) -> dict[int, int]:
    """Return how much longer spans beside a path may take without making it longer.

    Those whose parent is on the path, in nanoseconds: up to when the next sibling on the
    path starts, or else the parent ends.

    Args:
        trace: The trace.
        times: Its times.
        covered: As by `covered_by` for one of its critical paths.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 10, 60, 60),
    ...         Span("t", "c", "a", "load", "ended", 40, 90, 90),
    ...     ]
    ... )
    >>> times = times_of(trace)
    >>> slacks(trace, times, covered_by(trace, critical_path(trace, times)))
    {1: 40}
    """
    found: dict[int, int] = {}
    for parent in covered:
        ends = times.ends[parent]
        starts = sorted(covered[child][0] for child in trace.children[parent] if child in covered)
        for child in trace.children[parent]:
            if child not in covered and waits_for(trace, times, parent, child):
                following = bisect_left(starts, times.ends[child])
                limit = starts[following] if following < len(starts) else ends
                found[child] = max(limit - times.ends[child], 0)
    return found


def bottlenecks_of(
    traces: Iterable[TraceTree],
    services: Mapping[str, str] | None = None,
    *,
    least_share: float = 0.0,
) -> list[Bottleneck]:
    """Return the operations on the critical paths of some traces, the longest first.

    Args:
        traces: The traces; the path of each root counts.
        services: The service of each process, by its id.
        least_share: Leave out operations with a smaller share.
    """
    sums = _Sums(services or {})
    for trace in traces:
        times, after = times_of(trace), trace.after()
        for root in trace.roots:
            sums.add(trace, times, critical_path(trace, times, root), after)
    return [one for one in sums.result() if one.share >= least_share]


class _Sum:
    """What is added up for one operation, as in `Bottleneck`."""

    __slots__ = ("drag_ns", "is_lower_bound", "path_ns", "paths", "slack_ns")

    def __init__(self) -> None:
        self.path_ns = self.paths = self.drag_ns = 0
        self.slack_ns: int | None = None
        self.is_lower_bound = False


class _Sums:
    """Adds up critical paths by operation."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self._services = services
        self._found: dict[Operation, _Sum] = {}
        self._whole_ns = 0

    def add(self, trace: TraceTree, times: Times, path: CriticalPath, after: Sequence[int]) -> None:
        """Add a path of a trace.

        Args:
            trace: The trace.
            times: Its times.
            path: The path.
            after: As by `TraceTree.after`.
        """
        self._whole_ns += times.duration(path.root)
        on_path: dict[Operation, _Sum] = {}
        for segment in path.segments:
            operation = operation_of(trace.spans[segment.span], self._services)
            known = on_path.get(operation)
            if known is None:
                known = on_path[operation] = self._found.setdefault(operation, _Sum())
                known.paths += 1
                known.is_lower_bound = known.is_lower_bound or path.is_lower_bound
            known.path_ns += segment.duration_ns
        covered = covered_by(trace, path)
        self._add_drags(trace, drags(trace, times, path, covered), on_path, after)
        for number, slack_ns in slacks(trace, times, covered).items():
            operation = operation_of(trace.spans[number], self._services)
            known = self._found.setdefault(operation, _Sum())
            least = known.slack_ns
            known.slack_ns = slack_ns if least is None else min(least, slack_ns)

    def _add_drags(
        self,
        trace: TraceTree,
        dragged: Mapping[int, int],
        on_path: Mapping[Operation, _Sum],
        after: Sequence[int],
    ) -> None:
        until: dict[Operation, int] = {}
        for number in sorted(dragged):  # parents before children
            operation = operation_of(trace.spans[number], self._services)
            # That of a span contains those of the spans below it, as in a recursion.
            if operation in on_path and number >= until.get(operation, 0):
                until[operation] = after[number]
                on_path[operation].drag_ns += dragged[number]

    def result(self) -> list[Bottleneck]:
        whole = self._whole_ns
        found = [
            Bottleneck(
                operation,
                one.path_ns,
                one.path_ns / whole if whole else 0.0,
                one.paths,
                one.drag_ns,
                one.slack_ns,
                one.is_lower_bound,
            )
            for operation, one in self._found.items()
        ]
        return sorted(found, key=lambda one: (-one.path_ns, one.operation))


def covered_by(trace: TraceTree, path: CriticalPath) -> dict[int, tuple[int, int]]:
    """Return from when to when each span is on a path, itself or by what is below it."""
    found: dict[int, tuple[int, int]] = {}
    for segment in path.segments:
        start = found[segment.span][0] if segment.span in found else segment.start_ns
        found[segment.span] = start, segment.end_ns
    waiting = [-number for number in found]
    heapify(waiting)
    while waiting:
        number = -heappop(waiting)  # children before parents
        parent = trace.parents[number]
        if number == path.root or parent < 0:
            continue
        start, end = found[number]
        if parent in found:
            found[parent] = min(found[parent][0], start), max(found[parent][1], end)
        else:
            found[parent] = start, end
            heappush(waiting, -parent)
    return dict(sorted(found.items()))


def _by_parent(
    trace: TraceTree, path: CriticalPath, numbers: Iterable[int]
) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number in numbers:
        if number != path.root:
            found.setdefault(trace.parents[number], []).append(number)
    return found
