"""Blocked now: what a running trace waits for at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.traces.span import ALIVE
from otel_ext.analysis.traces.times import times_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Blocked", "blocked_now", "open_above"]


class Blocked(NamedTuple):
    """An open span without an open span below it: what a trace waits for.

    Attributes:
        span: Its number in the trace.
        age_ns: For how long it has been open, up to when its process was last seen.
    """

    span: int
    age_ns: int


def blocked_now(trace: TraceTree) -> list[Blocked]:
    """Return what a trace waits for, the oldest first.

    Spans of processes that are gone, or that no process has recorded, wait for nothing.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> spans = [
    ...     Span("t", "a", "", "request", "running", 0, None, 0),
    ...     Span("t", "b", "a", "query", "running", 30, None, 30),
    ... ]
    >>> blocked_now(make_tree(spans, last_seen={"": 50}))
    [Blocked(span=1, age_ns=20)]
    """
    found: list[Blocked] = []
    above_open: set[int] = set()
    times = times_of(trace)
    for number in reversed(range(len(trace.spans))):  # children before parents
        is_alive = trace.spans[number].state in ALIVE
        parent = trace.parents[number]
        if (is_alive or number in above_open) and parent >= 0:
            above_open.add(parent)
        if is_alive and number not in above_open:
            found.append(Blocked(number, times.duration(number)))
    return sorted(found, key=lambda one: (-one.age_ns, trace.spans[one.span].span_id))


def open_above(trace: TraceTree, number: int) -> Iterator[int]:
    """Yield the open spans above a span, the nearest first: those that wait for it."""
    return (one for one in trace.above(number) if trace.spans[one].state in ALIVE)
