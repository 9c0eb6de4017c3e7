"""Finds traces by a search: the store names candidates, and each is checked here.

So every store gives the same answer as the search in files and in the viewer.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.search.matches import matches_in
from otel_ext.store.stored import StoredTraces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.analysis.traces.forest import Observed
    from otel_ext.search.nodes import Node
    from otel_ext.store.protocol import Store, TraceSummary
    from otel_ext.store.queries import Place, TraceQuery

__all__ = ["FoundTrace", "FoundTraces", "find_traces", "matches_of"]

_MOST_MATCHES: Final = 100


class FoundTrace(NamedTuple):
    """A trace, and what was found in it.

    Attributes:
        summary: The trace.
        matches: The ids of the spans that were found, the first of them; empty without a search.
        found: How many were found.
    """

    summary: TraceSummary
    matches: Sequence[str] = ()
    found: int = 0


class FoundTraces(NamedTuple):
    """Some of the traces that a search finds.

    Attributes:
        traces: The traces, in the order that was asked for.
        last: The place of the last trace that was looked at; None if all were.
        last_start_ns: When that trace started, nanoseconds since the epoch.
        looked: How many traces were looked at, those that were skipped among them.
        is_complete: Whether as many were found as were wanted, or all; else the time was up.
    """

    traces: Sequence[FoundTrace]
    last: Place | None
    last_start_ns: int | None
    looked: int
    is_complete: bool


def find_traces(
    store: Store,
    query: TraceQuery,
    observed: Observed,
    *,
    limit: int,
    after: Place | None = None,
    skip: int = 0,
    seconds: float = 2.0,
) -> FoundTraces:
    """Return the traces that a search finds.

    Args:
        store: Where to look.
        query: Which traces are wanted.
        observed: What was seen of processes that may still run.
        limit: How many traces are wanted.
        after: Begin behind this place.
        skip: Do not look at so many of the first traces.
        seconds: Stop after this time, with what was found.
    """
    found: list[FoundTrace] = []
    last: TraceSummary | None = None
    deadline = monotonic() + seconds
    traces = StoredTraces(store, observed)
    looked = 0
    for summary in store.candidates(query, after):
        if looked < skip:
            looked += 1
            continue
        if last is not None and len(found) >= limit:
            return FoundTraces(found, last.place, last.start_ns, looked, is_complete=True)
        if query.node is None:
            found.append(FoundTrace(summary))
        elif matches := matches_of(traces, query.node, summary.trace_id):
            found.append(FoundTrace(summary, matches[:_MOST_MATCHES], len(matches)))
        last = summary
        looked += 1
        if monotonic() > deadline:
            return FoundTraces(found, last.place, last.start_ns, looked, is_complete=False)
    return FoundTraces(found, None, None, looked, is_complete=True)


def matches_of(traces: StoredTraces, node: Node, trace_id: str) -> list[str]:
    """Return the ids of the spans that are found in a trace."""
    found: dict[str, None] = {}
    for tree in traces.trees_of(trace_id):
        for number in sorted(matches_in(tree, node, traces)):
            found[tree.spans[number].span_id] = None
    return list(found)
