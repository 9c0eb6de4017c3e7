"""Error analysis: where an error began, how far it went, and whether something caught it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from otel_ext.analysis.operations import Operation, operation_of
from otel_ext.analysis.traces.times import times_of
from otel_ext.analysis.waiting import waits_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["ErrorGroup", "Role", "SpanError", "errors_in", "group_errors"]

Role: TypeAlias = Literal["origin", "propagated"]
"""`origin`: no child failed; `propagated`: one did."""


class SpanError(NamedTuple):
    """A span that failed.

    Attributes:
        span: Its number in the trace.
        role: Whether the error began there.
        is_swallowed: Whether the span above it waited for it, ended, and did not fail.
        origin: The number of the span where it began: down the failed children, the last to end.
    """

    span: int
    role: Role
    is_swallowed: bool
    origin: int


class ErrorGroup(NamedTuple):
    """Errors that began in one operation with one text.

    Attributes:
        operation: Where they began.
        text: Their text.
        errors: How many they are.
        swallowed: How many did not reach the top of their trace.
        traces: Ids of some of their traces.
    """

    operation: Operation
    text: str
    errors: int
    swallowed: int
    traces: tuple[str, ...]


_MAX_TRACES = 10


def errors_in(trace: TraceTree) -> list[SpanError]:
    """Return the failed spans of a trace, parents first.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "error", 10, 50, 50, error="Timeout: 5 s"),
    ...     ]
    ... )
    >>> errors_in(trace)
    [SpanError(span=1, role='origin', is_swallowed=True, origin=1)]
    """
    spans, origins = trace.spans, dict[int, int]()
    for number in reversed(range(len(spans))):  # children before parents
        if spans[number].has_failed:
            failed = [child for child in trace.children[number] if child in origins]
            last = max(failed, key=lambda one: (spans[one].end_ns or 0, one), default=-1)
            origins[number] = number if last < 0 else origins[last]
    if not origins:
        return []
    times = times_of(trace)
    return [
        SpanError(
            number,
            "origin" if origins[number] == number else "propagated",
            _is_swallowed(trace, times, number),
            origins[number],
        )
        for number in sorted(origins)
    ]


def _is_swallowed(trace: TraceTree, times: Times, number: int) -> bool:
    """Whether the span above a failed one waited for it and ended without failing."""
    parent = trace.parents[number]
    return (
        parent >= 0
        and trace.spans[parent].state in {"ended", "cancelled"}
        and waits_for(trace, times, parent, number)
    )


def group_errors(
    traces: Iterable[TraceTree], services: Mapping[str, str] | None = None
) -> list[ErrorGroup]:
    """Return the errors of some traces by where they began, the most frequent first.

    Args:
        traces: The traces.
        services: The service of each process, by its id.
    """
    groups: dict[tuple[Operation, str], ErrorGroup] = {}
    for trace in traces:
        stopped: set[int] = set()
        for one in errors_in(trace):  # parents before children
            if one.is_swallowed or trace.parents[one.span] in stopped:
                stopped.add(one.span)
            if one.role == "propagated":
                continue
            span = trace.spans[one.span]
            operation = operation_of(span, services or {})
            known = groups.get((operation, span.error))
            if known is None:
                known = ErrorGroup(operation, span.error, 0, 0, ())
            traces_of = known.traces
            if len(traces_of) < _MAX_TRACES and trace.trace_id not in traces_of:
                traces_of = (*traces_of, trace.trace_id)
            groups[operation, span.error] = known._replace(
                errors=known.errors + 1,
                swallowed=known.swallowed + (one.span in stopped),
                traces=traces_of,
            )
    return sorted(groups.values(), key=lambda one: (-one.errors, one.operation, one.text))
