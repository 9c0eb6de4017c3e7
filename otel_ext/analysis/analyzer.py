"""`TraceAnalyzer`: the analyses of some traces, each made when it is asked for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import orjson

from otel_ext.analysis.blocked import blocked_now
from otel_ext.analysis.bottlenecks import bottlenecks_of
from otel_ext.analysis.comparison import compare
from otel_ext.analysis.concurrency import concurrency_of
from otel_ext.analysis.critical_path import critical_path, path_roots
from otel_ext.analysis.errors import group_errors
from otel_ext.analysis.operations import Operations
from otel_ext.analysis.traces.forest import Observed
from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.loaded import Loaded
from otel_ext.analysis.traces.observed import observe
from otel_ext.analysis.traces.times import times_of
from otel_ext.analysis.variants import EVALUATION_TEXT, group_by_variant
from otel_ext.observe.process_names import service_of
from otel_ext.record.codec import encode_line
from otel_ext.record.model import META_KEY

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from otel_ext.analysis.blocked import Blocked
    from otel_ext.analysis.bottlenecks import Bottleneck
    from otel_ext.analysis.comparison import Comparison
    from otel_ext.analysis.concurrency import Concurrency
    from otel_ext.analysis.critical_path import CriticalPath
    from otel_ext.analysis.errors import ErrorGroup
    from otel_ext.analysis.operations import OperationStatistics
    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.analysis.variants import Variants
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["TraceAnalyzer"]


class TraceAnalyzer:
    """Analyses traces, finished or not.

    Args:
        trees: The traces.
        services: The service of each process, by its id.
        records: Returns the records of some spans, which have their events; needed only by
            `by_variant`.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> spans = [
    ...     Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...     Span("t", "b", "a", "query", "ended", 10, 90, 90),
    ... ]
    >>> analyzer = TraceAnalyzer([make_tree(spans)])
    >>> [(one.operation.name, one.share) for one in analyzer.bottlenecks()]
    [('query', 0.8), ('request', 0.2)]
    """

    def __init__(
        self,
        trees: Iterable[TraceTree],
        services: Mapping[str, str] | None = None,
        records: Callable[[Iterable[Span]], Mapping[SpanKey, Record]] | None = None,
    ) -> None:
        self.trees = tuple(sorted(trees, key=lambda tree: tree.start_ns))
        self.services = dict(services or {})
        self._records = records or _no_records

    @classmethod
    def of_files(cls, *paths: str | os.PathLike[str], trace_id: str = "") -> TraceAnalyzer:
        """Return an analyzer of the traces in files and folders of records.

        Args:
            paths: Files and folders, in use or not.
            trace_id: Only traces whose id begins with this.
        """
        inputs = [Path(path) for path in paths]
        # Running spans first: a span that ends in between is then read as ended.
        observed = observe(inputs)
        return cls.of_loaded(load(inputs, prefix=trace_id), observed)

    @classmethod
    def of_loaded(cls, loaded: Loaded, observed: Observed | None = None) -> TraceAnalyzer:
        """Return an analyzer of what was read from files.

        Args:
            loaded: What was read.
            observed: What was seen of processes that run.
        """
        trees = loaded.forest.trees(Observed() if observed is None else observed)
        records = partial(loaded.records_of, containing=EVALUATION_TEXT)
        return cls(trees, loaded.services, records)

    @classmethod
    def of_records(cls, records: Iterable[Record]) -> TraceAnalyzer:
        """Return an analyzer of records in memory, such as those of `trace_context`."""
        loaded = Loaded()
        services: dict[str, str] = {}
        for record in records:
            line = encode_line(record)
            # With its line as source, so that its events can be read again.
            loaded.forest.add(cast("Mapping[str, object]", orjson.loads(line)[META_KEY]), line)
            if service := service_of(record.process):
                services[record.process.id] = service
        records_of = partial(loaded.records_of, containing=EVALUATION_TEXT)
        return cls(loaded.forest.trees(), services, records_of)

    def critical_paths(self, tree: TraceTree) -> list[CriticalPath]:
        """Return the critical path of each root of a trace, the longest first.

        What no parent waited for, such as a task in the background, has a path of its own.
        """
        times = times_of(tree)
        roots = sorted(path_roots(tree, times), key=lambda one: (-times.duration(one), one))
        return [critical_path(tree, times, root) for root in roots]

    def bottlenecks(self, least_share: float = 0.0) -> list[Bottleneck]:
        """Return the operations on the critical paths, by how long they are on them.

        Args:
            least_share: Leave out those with a smaller part of all paths, 0 to 1.
        """
        return bottlenecks_of(self.trees, self.services, least_share=least_share)

    def operations(self) -> list[OperationStatistics]:
        """Return the statistics of each operation, those with the most self time first."""
        operations = Operations(self.services)
        for tree in self.trees:
            operations.add(tree)
        return operations.result()

    def errors(self) -> list[ErrorGroup]:
        """Return the errors by where they began, the most frequent first."""
        return group_errors(self.trees, self.services)

    def concurrency(self, tree: TraceTree) -> Concurrency:
        """Return for how long how many spans of a trace were active at once."""
        return concurrency_of(tree, times_of(tree))

    def blocked(self) -> Iterator[tuple[TraceTree, list[Blocked]]]:
        """Yield each trace with spans that run, and what it waits for."""
        for tree in self.trees:
            if found := blocked_now(tree):
                yield tree, found

    def compared_with(self, before: TraceAnalyzer, tolerance: float = 0.05) -> Comparison:
        """Return what has changed from the traces of another analyzer to these.

        Args:
            before: The other one.
            tolerance: The part of the time before by which equal operations may differ.
        """
        services = {**before.services, **self.services}
        return compare(before.trees, self.trees, services, tolerance=tolerance)

    def by_variant(self, flag: str) -> Variants:
        """Return the traces by the variant of a feature flag in which they ran.

        `otel_ext.analysis.compare_variants` compares two of them.

        Args:
            flag: The flag's name.
        """
        return group_by_variant(self.trees, self._records, flag)


def _no_records(_: Iterable[Span]) -> Mapping[SpanKey, Record]:
    return {}
