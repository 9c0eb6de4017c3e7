"""What a structured trace tells of itself: its tree, where its time went, what was waited for.

By the analyses that recorded traces have too, and in plain data that JSON can represent.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.analysis.critical_path import critical_path
from otel_ext.analysis.operations import Operations
from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.times import times_of
from otel_ext.analysis.traces.tree import make_tree
from otel_ext.record.sanitise.values import encode_object
from otel_ext.runtime.guard import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.analysis.traces.span import State
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.structured.trace_span import SpanStatus, TraceSpan

__all__ = ["hierarchical_view", "path_of", "summary_of"]

_STATES: Final[dict[SpanStatus, State]] = {
    "active": "running",
    "success": "ended",
    "failure": "error",
    "error": "error",
}


class _Analysed(NamedTuple):
    """The spans of a structured trace as the analyses take them.

    Attributes:
        by_id: The spans by their ids.
        tree: Their tree.
        times: Their times; those of active ones up to now.
    """

    by_id: dict[str, TraceSpan]
    tree: TraceTree
    times: Times


def hierarchical_view(roots: Sequence[TraceSpan]) -> list[dict[str, object]]:
    """Return the spans as nested dicts.

    Args:
        roots: The root spans, by their start.
    """
    found: list[dict[str, object]] = []
    waiting = [(root, found) for root in reversed(roots)]
    while waiting:  # without recursion: a chain may be long
        span, siblings = waiting.pop()
        children: list[dict[str, object]] = []
        siblings.append(
            {
                "operation": span.operation,
                "id": span.id,
                "parent_id": span.parent_id,
                "status": span.status,
                "start_ns": span.start_ns,
                "duration_ns": span.duration_ns,
                "attributes": orjson.loads(encode_object(span.attributes)),
                "error": None if span.error is None else describe(span.error),
                "children": children,
            }
        )
        waiting.extend((child, children) for child in reversed(span.children))
    return found


def summary_of(roots: Sequence[TraceSpan], dropped_spans: int) -> dict[str, object]:
    """Return counts, and times by operation, in nanoseconds.

    Args:
        roots: The root spans, by their start.
        dropped_spans: How many spans are not among them.
    """
    analysed = _analysed(roots)
    statuses = [] if analysed is None else [span.status for span in analysed.by_id.values()]
    operations = Operations()
    total_ns = 0
    if analysed is not None:
        operations.add(analysed.tree)
        total_ns = max(analysed.times.ends) - min(analysed.times.starts)
    return {
        "total_ns": total_ns,
        "spans": len(statuses),
        "active": statuses.count("active"),
        "failures": statuses.count("failure"),
        "errors": statuses.count("error"),
        "dropped_spans": dropped_spans,
        "operations": [
            {
                "operation": one.operation.name,
                "count": one.calls,
                "errors": one.errors,
                "total_ns": one.total_ns,
                "self_ns": one.self_ns,
                "p50_ns": one.percentiles["p50"],
                "p99_ns": one.percentiles["p99"],
            }
            for one in sorted(operations.result(), key=lambda one: -one.total_ns)
        ],
    }


def path_of(roots: Sequence[TraceSpan]) -> list[dict[str, object]]:
    """Return the pieces of the critical path of the longest root, by time.

    Args:
        roots: The root spans, by their start.
    """
    analysed = _analysed(roots)
    if analysed is None:
        return []
    _, tree, times = analysed
    longest = max(tree.roots, key=times.duration)
    return [
        {
            "operation": tree.spans[segment.span].name,
            "id": tree.spans[segment.span].span_id,
            "start_ns": segment.start_ns,
            "duration_ns": segment.duration_ns,
            "is_open": tree.spans[segment.span].is_open,
        }
        for segment in critical_path(tree, times, longest).segments
    ]


def _analysed(roots: Sequence[TraceSpan]) -> _Analysed | None:
    by_id: dict[str, TraceSpan] = {}
    waiting = list(roots)
    while waiting:
        span = waiting.pop()
        by_id[span.id] = span
        waiting.extend(span.children)
    spans = [_as_span(span) for span in by_id.values() if span.start_ns is not None]
    if not spans:
        return None
    tree = make_tree(spans, last_seen={"": time_ns()})
    return _Analysed(by_id, tree, times_of(tree))


def _as_span(span: TraceSpan) -> Span:
    start_ns, end_ns = span.start_ns or 0, span.end_ns
    return Span(
        f"{span.span.get_span_context().trace_id:032x}",
        span.id,
        "" if span.parent is None else span.parent.id,
        span.operation,
        "running" if end_ns is None else _STATES[span.status],
        start_ns,
        end_ns,
        start_ns if end_ns is None else end_ns,
    )
