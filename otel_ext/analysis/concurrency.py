"""The concurrency profile: for how long how many spans did something themselves at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.self_time import self_intervals

if TYPE_CHECKING:
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Concurrency", "concurrency_of"]


class Concurrency(NamedTuple):
    """How many spans of a trace did something at the same time.

    A span counts while no child of it runs: else each level of nesting would count once more.

    Attributes:
        time_at: By the number of active spans, for how many nanoseconds there were so many.
        peak: The most at once.
        peak_at_ns: When that was first so; 0 without spans.
        mean: The mean number, over the whole time of the trace.
    """

    time_at: dict[int, int]
    peak: int
    peak_at_ns: int
    mean: float


def concurrency_of(trace: TraceTree, times: Times) -> Concurrency:
    """Return the concurrency profile of a trace.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.times import times_of
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 0, 100, 100),
    ...         Span("t", "c", "a", "query", "ended", 0, 50, 50),
    ...     ]
    ... )
    >>> concurrency_of(trace, times_of(trace)).time_at
    {2: 50, 1: 50}
    """
    changes: list[tuple[int, int]] = []
    for number, span in enumerate(trace.spans):
        if span.state == "missing":
            continue  # nothing is known of what it did
        for start, end in self_intervals(trace, times, number):
            if start < end:
                changes += ((start, 1), (end, -1))
    changes.sort()  # at the same time ends come before starts
    time_at: dict[int, int] = {}
    active = peak = peak_at = 0
    before = changes[0][0] if changes else 0
    for at, change in changes:
        if at > before:
            time_at[active] = time_at.get(active, 0) + at - before
            before = at
        active += change
        if active > peak:
            peak, peak_at = active, at
    elapsed = sum(time_at.values())
    busy = sum(number * time for number, time in time_at.items())
    return Concurrency(time_at, peak, peak_at, busy / elapsed if elapsed else 0.0)
