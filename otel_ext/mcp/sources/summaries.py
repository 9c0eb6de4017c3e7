"""Sums up a tree for lists of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.times import times_of
from otel_ext.mcp.sources.source import TraceLine
from otel_ext.server.api.summaries import WORST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.sources.source import ErrorLine
    from otel_ext.record.merge import SpanKey

__all__ = ["MOST_MATCHES", "line_of_tree", "merged_errors", "state_shown"]

MOST_MATCHES: Final = 5
"""How many spans that a search has found are named in a list."""


def state_shown(span: Span, seen: Collection[SpanKey]) -> str:
    """Return the state of a span; `open` if it has no end and its process was not seen.

    Args:
        span: The span.
        seen: The keys of the open spans of processes that were seen.
    """
    is_unseen = span.is_open and span.state != "missing" and span.key not in seen
    return "open" if is_unseen else span.state


def line_of_tree(
    tree: TraceTree,
    services: Mapping[str, str],
    seen: Collection[SpanKey],
    matches: Collection[int] | None,
) -> TraceLine:
    """Return what a list shows of a trace.

    Args:
        tree: The trace.
        services: The service of each process, by its id.
        seen: As for `state_shown`.
        matches: The numbers of the spans that a search has found; None without a search.
    """
    spans = [span for span in tree.spans if span.state != "missing"]
    states = {state_shown(span, seen) for span in spans}
    times = times_of(tree)
    start_ns = min(times.starts)
    roots = [tree.spans[one] for one in tree.roots]
    root = next((one for one in roots if one.state != "missing"), spans[0])
    return TraceLine(
        tree.trace_id,
        start_ns,
        max(times.ends) - start_ns,
        root.name,
        services.get(root.process, ""),
        next(state for state in WORST if state in states),
        len(spans),
        sum(span.is_open for span in spans),
        sum(span.has_failed for span in spans),
        None if matches is None else len(matches),
        [tree.spans[one].span_id for one in sorted(matches or ())[:MOST_MATCHES]],
    )


def merged_errors(errors: Iterable[ErrorLine]) -> list[ErrorLine]:
    """Return one for each service, name and text, the most frequent first."""
    groups: dict[tuple[str, str, str], ErrorLine] = {}
    for one in errors:
        key = one.service, one.name, one.text
        known = groups.get(key, one._replace(spans=0))
        newest = max(known, one, key=lambda each: each.last_ns)
        groups[key] = newest._replace(spans=known.spans + one.spans)
    return sorted(groups.values(), key=lambda one: (-one.spans, -one.last_ns))
