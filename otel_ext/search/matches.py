"""Searches in a trace whose records are read only if the search looks at them."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Protocol

from otel_ext.record.model import EMPTY
from otel_ext.search.found import SearchedTree, needs_attributes, needs_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record
    from otel_ext.search.nodes import Node

__all__ = ["TraceRecords", "matches_in"]


class TraceRecords(Protocol):
    """Reads the records of traces, whether they are in files or in a store."""

    @property
    def services(self) -> Mapping[str, str]:
        """The service of each process that has one, by the process's id."""
        ...

    def attributes_of(self, spans: Sequence[Span], /) -> Mapping[SpanKey, Mapping[str, object]]:
        """Return the attributes of some spans."""
        ...

    def logs_of(self, trace_id: str, process: str = "", /) -> Sequence[Record]:
        """Return the logs and events of a trace, by time."""
        ...


def matches_in(tree: TraceTree, node: Node, records: TraceRecords) -> set[int]:
    """Return the numbers of the spans that a search finds.

    Args:
        tree: The trace.
        node: The search.
        records: Reads its records.
    """
    attributes: Callable[[int], Mapping[str, object]] | None = None
    if needs_attributes(node):
        known = records.attributes_of(tree.spans)
        found = [known.get(one.key, EMPTY) for one in tree.spans]
        attributes = found.__getitem__
    by_span: dict[str, list[tuple[str, str]]] = {}
    if needs_logs(node):
        for log in records.logs_of(tree.trace_id, tree.process):
            by_span.setdefault(log.span_id, []).append((log.level or "event", log.name))

    def logs(number: int) -> Sequence[tuple[str, str]]:
        return by_span.get(tree.spans[number].span_id, ())

    return SearchedTree(tree, records.services, attributes, logs, now_ns=time_ns()).find(node)
