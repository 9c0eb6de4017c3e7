"""Operation statistics: how often each operation ran, how long it took, and how often it failed."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.analysis.self_time import self_times
from otel_ext.analysis.traces.times import times_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Operation", "OperationStatistics", "Operations", "operation_of", "percentile"]

PERCENTILES: Final = (50, 90, 95, 99)


class Operation(NamedTuple):
    """What spans have in common that do the same work: their service and their name."""

    service: str
    name: str


Services: TypeAlias = "Mapping[str, str]"
"""The service of each process, by the process's id."""


class OperationStatistics(NamedTuple):
    """What the spans of one operation have in common. Times are in nanoseconds.

    Attributes:
        operation: The operation.
        calls: How many spans it has, open ones included.
        open: How many are open.
        errors: How many failed.
        abandoned: How many never ended.
        total_ns: How long the ended ones took together.
        self_ns: How long they did something themselves.
        shortest_ns: The shortest duration.
        longest_ns: The longest.
        percentiles: By p50 and so on, the duration that so many in a hundred do not exceed.
    """

    operation: Operation
    calls: int
    open: int
    errors: int
    abandoned: int
    total_ns: int
    self_ns: int
    shortest_ns: int
    longest_ns: int
    percentiles: dict[str, int]

    @property
    def mean_ns(self) -> int:
        """The mean duration of those that ended."""
        ended = self.calls - self.open
        return self.total_ns // ended if ended else 0


def operation_of(span: Span, services: Services) -> Operation:
    """Return the operation of a span."""
    return Operation(services.get(span.process, ""), span.name)


def percentile(ordered: array[int], percent: float) -> int:
    """Return the value that `percent` of 100 values do not exceed: the nearest rank.

    Args:
        ordered: The values by size; 0 is returned if there are none.
        percent: Above 0, up to 100.

    >>> percentile(array("q", [1, 2, 3, 4]), 50), percentile(array("q"), 50)
    (2, 0)
    """
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1] if ordered else 0


class _Sums:
    def __init__(self) -> None:
        self.calls = self.open = self.errors = self.abandoned = self.self_ns = 0
        # Exact percentiles: eight bytes a span, of which the tree takes some hundred anyway.
        self.durations = array("q")


class Operations:
    """Adds up traces by operation.

    Args:
        services: The service of each process, by its id.
        select: Which spans count; by default all.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> operations = Operations()
    >>> operations.add(make_tree([Span("t", "a", "", "job", "ended", 0, 100, 100)]))
    >>> [(one.operation.name, one.calls, one.percentiles["p50"]) for one in operations.result()]
    [('job', 1, 100)]
    """

    def __init__(
        self, services: Services | None = None, select: Callable[[Span], bool] | None = None
    ) -> None:
        self._services = services or {}
        self._select = select
        self._sums: dict[Operation, _Sums] = {}

    def add(self, trace: TraceTree) -> None:
        """Add the spans of one trace."""
        times = times_of(trace)
        own = self_times(trace, times)
        for number, span in enumerate(trace.spans):
            if span.state == "missing" or (self._select is not None and not self._select(span)):
                continue
            sums = self._sums.setdefault(operation_of(span, self._services), _Sums())
            sums.calls += 1
            if span.is_open:
                sums.open += 1
                continue
            sums.errors += span.has_failed
            sums.abandoned += span.state == "abandoned"
            sums.self_ns += own[number]
            sums.durations.append(times.duration(number))

    def result(self) -> list[OperationStatistics]:
        """Return the statistics, those with the most self time first."""
        found = [_statistics(operation, sums) for operation, sums in self._sums.items()]
        return sorted(found, key=lambda one: (-one.self_ns, one.operation))


def _statistics(operation: Operation, sums: _Sums) -> OperationStatistics:
    ordered = array("q", sorted(sums.durations))
    return OperationStatistics(
        operation,
        sums.calls,
        sums.open,
        sums.errors,
        sums.abandoned,
        sum(ordered),
        sums.self_ns,
        ordered[0] if ordered else 0,
        ordered[-1] if ordered else 0,
        {f"p{percent}": percentile(ordered, percent) for percent in PERCENTILES},
    )
