"""Analyses of traces, finished and unfinished: trees, critical paths, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.analysis.analyzer import TraceAnalyzer
    from otel_ext.analysis.blocked import Blocked, blocked_now
    from otel_ext.analysis.bottlenecks import Bottleneck, bottlenecks_of
    from otel_ext.analysis.comparison import Comparison, Difference, compare
    from otel_ext.analysis.concurrency import Concurrency, concurrency_of
    from otel_ext.analysis.critical_path import CriticalPath, Segment
    from otel_ext.analysis.errors import ErrorGroup, group_errors
    from otel_ext.analysis.operations import Operation, Operations, OperationStatistics
    from otel_ext.analysis.self_time import self_times
    from otel_ext.analysis.traces.forest import Forest
    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.times import Times, times_of
    from otel_ext.analysis.traces.tree import TraceTree, make_tree
    from otel_ext.analysis.variants import Variants, compare_variants, group_by_variant

__all__ = [
    "Blocked",
    "Bottleneck",
    "Comparison",
    "Concurrency",
    "CriticalPath",
    "Difference",
    "ErrorGroup",
    "Forest",
    "Operation",
    "OperationStatistics",
    "Operations",
    "Segment",
    "Span",
    "Times",
    "TraceAnalyzer",
    "TraceTree",
    "Variants",
    "blocked_now",
    "bottlenecks_of",
    "compare",
    "compare_variants",
    "concurrency_of",
    "group_by_variant",
    "group_errors",
    "make_tree",
    "self_times",
    "times_of",
]

_MODULES = {
    "Blocked": "otel_ext.analysis.blocked",
    "Bottleneck": "otel_ext.analysis.bottlenecks",
    "Comparison": "otel_ext.analysis.comparison",
    "Concurrency": "otel_ext.analysis.concurrency",
    "CriticalPath": "otel_ext.analysis.critical_path",
    "Difference": "otel_ext.analysis.comparison",
    "ErrorGroup": "otel_ext.analysis.errors",
    "Forest": "otel_ext.analysis.traces.forest",
    "Operation": "otel_ext.analysis.operations",
    "OperationStatistics": "otel_ext.analysis.operations",
    "Operations": "otel_ext.analysis.operations",
    "Segment": "otel_ext.analysis.critical_path",
    "Span": "otel_ext.analysis.traces.span",
    "Times": "otel_ext.analysis.traces.times",
    "TraceAnalyzer": "otel_ext.analysis.analyzer",
    "TraceTree": "otel_ext.analysis.traces.tree",
    "Variants": "otel_ext.analysis.variants",
    "blocked_now": "otel_ext.analysis.blocked",
    "bottlenecks_of": "otel_ext.analysis.bottlenecks",
    "compare": "otel_ext.analysis.comparison",
    "compare_variants": "otel_ext.analysis.variants",
    "concurrency_of": "otel_ext.analysis.concurrency",
    "group_by_variant": "otel_ext.analysis.variants",
    "group_errors": "otel_ext.analysis.errors",
    "make_tree": "otel_ext.analysis.traces.tree",
    "self_times": "otel_ext.analysis.self_time",
    "times_of": "otel_ext.analysis.traces.times",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
