"""Analyses as JSON, the same for the terminal, the report and the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from otel_ext.analysis.blocked import open_above
from otel_ext.analysis.operations import Operation, OperationStatistics

if TYPE_CHECKING:
    from otel_ext.analysis.analyzer import TraceAnalyzer
    from otel_ext.analysis.comparison import Comparison

__all__ = ["analysis_as_json", "comparison_as_json"]


def analysis_as_json(analyzer: TraceAnalyzer, least_share: float = 0.0) -> bytes:
    """Return all analyses of some traces as one JSON object; times are in nanoseconds.

    Args:
        analyzer: The traces.
        least_share: As for `TraceAnalyzer.bottlenecks`.
    """
    trees = analyzer.trees
    document: dict[str, object] = {
        "traces": len(trees),
        "spans": sum(len(tree.spans) - len(tree.missing) for tree in trees),
        "bottlenecks": [_plain(one._asdict()) for one in analyzer.bottlenecks(least_share)],
        "operations": [_plain(one._asdict()) for one in analyzer.operations()],
        "errors": [_plain(one._asdict()) for one in analyzer.errors()],
        "blocked": [
            {
                "trace_id": tree.trace_id,
                "span_id": tree.spans[one.span].span_id,
                "name": tree.spans[one.span].name,
                "age_ns": one.age_ns,
                "chain": [tree.spans[number].span_id for number in open_above(tree, one.span)],
            }
            for tree, found in analyzer.blocked()
            for one in found
        ],
        "concurrency": [
            {
                "trace_id": tree.trace_id,
                "time_at": {str(number): time for number, time in sorted(found.time_at.items())},
                "peak": found.peak,
                "mean": found.mean,
            }
            for tree in trees
            for found in (analyzer.concurrency(tree),)
        ],
    }
    return orjson.dumps(document)


def comparison_as_json(found: Comparison) -> bytes:
    """Return a comparison as one JSON object; times are in nanoseconds."""
    document = _plain(found._asdict())
    document["differences"] = [_plain(one._asdict()) for one in found.differences]
    return orjson.dumps(document)


def _plain(fields: dict[str, object]) -> dict[str, object]:
    """Return the fields of a result with its operation as two, and statistics as an object."""
    found: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, Operation):
            found |= {"service": value.service or None, "name": value.name}
        elif isinstance(value, OperationStatistics):
            found[name] = _plain(value._asdict())
        else:
            found[name] = value
    return found
