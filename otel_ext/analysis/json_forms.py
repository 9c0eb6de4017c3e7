"""Analyses as JSON, the same for the terminal, the report and the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.analysis.blocked import open_above
from otel_ext.analysis.critical_path import critical_path, path_roots
from otel_ext.analysis.operations import Operation, OperationStatistics
from otel_ext.analysis.self_time import self_times
from otel_ext.analysis.traces.times import times_of
from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_ext.analysis.analyzer import TraceAnalyzer
    from otel_ext.analysis.comparison import Comparison
    from otel_ext.analysis.critical_path import Segment
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["ANALYSES", "analysis_as_json", "comparison_as_json", "critical_paths_as_json"]


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
        **{name: ANALYSES[name](analyzer) for name in ("operations", "errors", "blocked")},
        "concurrency": ANALYSES["concurrency"](analyzer),
    }
    return orjson.dumps(document)


def critical_paths_as_json(trees: Iterable[TraceTree]) -> bytes:
    """Return the critical paths of some traces, by their start; times are in nanoseconds."""
    return orjson.dumps({"traces": [_paths(tree, times_of(tree)) for tree in trees]})


def _paths(tree: TraceTree, times: Times) -> dict[str, object]:
    roots = sorted(path_roots(tree, times), key=lambda one: (times.starts[one], one))
    return {
        "trace_id": tree.trace_id,
        "paths": [
            {
                "root": tree.spans[path.root].span_id,
                "name": tree.spans[path.root].name,
                "start_ns": times.starts[path.root],
                "end_ns": times.ends[path.root],
                "is_lower_bound": path.is_lower_bound,
                "segments": [_segment(tree, one) for one in path.segments],
            }
            for path in (critical_path(tree, times, root) for root in roots)
        ],
    }


def _segment(tree: TraceTree, segment: Segment) -> dict[str, object]:
    span = tree.spans[segment.span]
    return {
        "span_id": span.span_id,
        "name": span.name,
        "start_ns": segment.start_ns,
        "end_ns": segment.end_ns,
        "beside": tree.spans[segment.beside].span_id if segment.beside >= 0 else None,
        "is_inferred": segment.is_inferred,
    }


def _blocked(analyzer: TraceAnalyzer) -> list[dict[str, object]]:
    return [
        {
            "trace_id": tree.trace_id,
            "span_id": tree.spans[one.span].span_id,
            "name": tree.spans[one.span].name,
            "age_ns": one.age_ns,
            "chain": [tree.spans[number].span_id for number in open_above(tree, one.span)],
        }
        for tree, found in analyzer.blocked()
        for one in found
    ]


def _concurrency(analyzer: TraceAnalyzer) -> list[dict[str, object]]:
    return [
        {
            "trace_id": tree.trace_id,
            "time_at": {str(number): time for number, time in sorted(found.time_at.items())},
            "peak": found.peak,
            "mean": found.mean,
        }
        for tree in analyzer.trees
        for found in (analyzer.concurrency(tree),)
    ]


def _self_times(analyzer: TraceAnalyzer) -> list[dict[str, object]]:
    return [
        {"trace_id": tree.trace_id, "span_id": span.span_id, "name": span.name, "self_ns": own}
        for tree in analyzer.trees
        for span, own in zip(tree.spans, self_times(tree, times_of(tree)), strict=True)
        if span.state != "missing"
    ]


def comparison_as_json(found: Comparison, facts: Mapping[str, object] = EMPTY) -> bytes:
    """Return a comparison as one JSON object; times are in nanoseconds.

    Args:
        found: The comparison.
        facts: What else the object says, before the comparison.
    """
    document = {**facts, **_plain(found._asdict())}
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


ANALYSES: Final[Mapping[str, Callable[[TraceAnalyzer], list[dict[str, object]]]]] = {
    "critical-path": lambda analyzer: [_paths(tree, times_of(tree)) for tree in analyzer.trees],
    "bottlenecks": lambda analyzer: [_plain(one._asdict()) for one in analyzer.bottlenecks()],
    "operations": lambda analyzer: [_plain(one._asdict()) for one in analyzer.operations()],
    "errors": lambda analyzer: [_plain(one._asdict()) for one in analyzer.errors()],
    "blocked": _blocked,
    "concurrency": _concurrency,
    "self-time": _self_times,
}
"""The analyses of some traces by name, as values for JSON; times are in nanoseconds."""
