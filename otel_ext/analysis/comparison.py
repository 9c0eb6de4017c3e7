"""Compares two sets of traces by operation: what is slower, new or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from otel_ext.analysis.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_ext.analysis.operations import Operation, OperationStatistics
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Change", "Comparison", "Difference", "compare"]

Change: TypeAlias = Literal["slower", "faster", "equal", "new", "gone", "unfinished"]
"""`unfinished`: spans of it are open, so that the times of the two sets say nothing yet."""


class Difference(NamedTuple):
    """One operation in both sets. Times are in nanoseconds for each trace.

    Attributes:
        operation: The operation.
        change: What has changed.
        before: Its statistics before; None if it is new.
        after: Its statistics after; None if it is gone.
        self_ns: By how much longer its spans did something themselves; 0 if unfinished.
        share: The part of all changes in the same direction that this is, 0 to 1.
    """

    operation: Operation
    change: Change
    before: OperationStatistics | None
    after: OperationStatistics | None
    self_ns: int
    share: float = 0.0


class Comparison(NamedTuple):
    """The differences of two sets, the largest first.

    Attributes:
        traces_before: How many traces the first set has.
        traces_after: How many the second has.
        self_ns: By how much longer a trace took of its spans' own time.
        differences: One for each operation.
    """

    traces_before: int
    traces_after: int
    self_ns: int
    differences: tuple[Difference, ...]


def compare(
    before: Iterable[TraceTree],
    after: Iterable[TraceTree],
    services: Mapping[str, str] | None = None,
    *,
    tolerance: float = 0.05,
) -> Comparison:
    """Return what has changed from one set of traces to another.

    Operations are compared by their self time for each trace: the differences then add up to
    that of the whole, and a slow child does not count once more for each span above it.

    Args:
        before: The first set.
        after: The second set.
        services: The service of each process, by its id.
        tolerance: The part of the time before by which equal operations may differ.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> one = make_tree([Span("t", "a", "", "job", "ended", 0, 100, 100)])
    >>> two = make_tree([Span("u", "a", "", "job", "ended", 0, 150, 150)])
    >>> [(one.change, one.self_ns) for one in compare([one], [two]).differences]
    [('slower', 50)]
    """
    first, traces_before = _statistics(before, services)
    second, traces_after = _statistics(after, services)
    found: list[Difference] = []
    for operation in first.keys() | second.keys():
        old, new = first.get(operation), second.get(operation)
        old_ns = old.self_ns // traces_before if old is not None else 0
        new_ns = new.self_ns // traces_after if new is not None else 0
        change = _change(old_ns, new_ns, tolerance)
        if old is None or new is None:
            change = "new" if old is None else "gone"
        if (old is not None and old.open) or (new is not None and new.open):
            change, old_ns, new_ns = "unfinished", 0, 0
        found.append(Difference(operation, change, old, new, new_ns - old_ns))
    more = sum(max(one.self_ns, 0) for one in found)
    less = sum(min(one.self_ns, 0) for one in found)
    found = [
        one._replace(share=one.self_ns / (more if one.self_ns > 0 else less))
        if one.self_ns
        else one
        for one in found
    ]
    found.sort(key=lambda one: (-abs(one.self_ns), one.operation))
    return Comparison(traces_before, traces_after, more + less, tuple(found))


def _statistics(
    traces: Iterable[TraceTree], services: Mapping[str, str] | None
) -> tuple[dict[Operation, OperationStatistics], int]:
    operations = Operations(services)
    number = 0
    for number, trace in enumerate(traces, 1):  # noqa: B007 - counts them
        operations.add(trace)
    return {one.operation: one for one in operations.result()}, number


def _change(before: int, after: int, tolerance: float) -> Change:
    if abs(after - before) <= tolerance * before:
        return "equal"
    return "slower" if after > before else "faster"
