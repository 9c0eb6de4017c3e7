"""Self time: how long a span did something itself, while no span below it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["self_intervals", "self_times"]


def self_intervals(trace: TraceTree, times: Times, number: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a span's time in which no child of it ran, in order.

    Args:
        trace: The trace.
        times: Its times.
        number: The span.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.times import times_of
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 10, 50, 50),
    ...         Span("t", "c", "a", "query", "ended", 40, 90, 90),
    ...     ]
    ... )
    >>> list(self_intervals(trace, times_of(trace), 0))
    [(0, 10), (90, 100)]
    """
    at, end = times.starts[number], times.ends[number]
    for child in sorted(trace.children[number], key=times.starts.__getitem__):
        if times.starts[child] > at:
            yield at, min(times.starts[child], end)
        at = max(at, times.ends[child])
        if at >= end:
            return
    if at < end:
        yield at, end


def self_times(trace: TraceTree, times: Times) -> list[int]:
    """Return the self time of each span in nanoseconds, by its number."""
    return [
        sum(end - start for start, end in self_intervals(trace, times, number))
        for number in range(len(trace.spans))
    ]
