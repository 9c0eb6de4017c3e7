"""Builds the tree of a trace: one record per span, each under its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_ext.record.model import Record

__all__ = ["Node", "Trace", "has_failed", "is_fine", "make_trace"]

_MAX_INDENT: Final = 40
# This many equal siblings become one line.
_MANY: Final = 5


class Node(NamedTuple):
    """A line of a tree: one span, or equal siblings.

    Attributes:
        record: The record of the span, or of the first sibling.
        depth: How many spans are above it.
        branch: The branch to draw before it.
        siblings: All equal siblings, by their start; empty for a single span.
        parent: The record of the span above it; None at the top.
    """

    record: Record
    depth: int
    branch: str
    siblings: tuple[Record, ...] = ()
    parent: Record | None = None


class Trace(NamedTuple):
    """The spans of one trace, in tree order.

    Attributes:
        trace_id: Its id.
        start_ns: The earliest start, nanoseconds since the epoch.
        spans: How many spans it has.
        nodes: Parents before children, children by their start.
        process: Their process, if other processes use the same trace id; else empty.
    """

    trace_id: str
    start_ns: int
    spans: int
    nodes: tuple[Node, ...]
    process: str = ""


def has_failed(record: Record) -> bool:
    """Whether a span ended with an error."""
    return record.is_real_end and record.status is not None and record.status.code == "error"


def is_fine(record: Record) -> bool:
    """Whether a span ended without an error or a cancellation."""
    return record.is_real_end and not has_failed(record) and not record.is_cancelled


def make_trace(
    records: Sequence[Record],
    *,
    process: str = "",
    ascii_only: bool = False,
    fold: bool = False,
) -> Trace:
    """Return the trace of `records`; a span whose parent is missing becomes a root.

    Args:
        records: One record per span, at least one, all of the same trace.
        process: As in `Trace`.
        ascii_only: Whether to draw the branches in ASCII.
        fold: Whether many siblings of one name become one line, if nothing went wrong in
            them or below them.
    """
    ordered = sorted(records, key=lambda record: record.started_ns)
    walk = _Walk(ordered, fold=fold, ascii_only=ascii_only)
    nodes = tuple(walk.nodes())
    return Trace(ordered[0].trace_id, ordered[0].started_ns, len(ordered), nodes, process)


class _Walk:
    """Orders the spans of one trace by walking its tree."""

    def __init__(self, records: list[Record], *, fold: bool, ascii_only: bool) -> None:
        self._records = records
        self._branches = ("|- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
        self._by_id = {record.span_id: record for record in records}
        self._children: dict[str, list[Record]] = {}
        self._roots: list[Record] = []
        for record in records:
            parent = record.parent_span_id
            if parent in self._by_id and parent != record.span_id:
                self._children.setdefault(parent, []).append(record)
            else:
                self._roots.append(record)
        self._fold = fold
        self._unfoldable = self._find_unfoldable() if fold else set[str]()
        self._seen: set[str] = set()

    def _find_unfoldable(self) -> set[str]:
        """Return the ids of spans that are not fine, and of all spans above them."""
        found: set[str] = set()
        for record in self._records:
            above: Record | None = record
            if is_fine(record):
                above = None
            while above is not None and above.span_id not in found:
                found.add(above.span_id)
                above = self._by_id.get(above.parent_span_id)
        return found

    def nodes(self) -> Iterator[Node]:
        """Yield the lines, parents before children."""
        # Parents in a circle have no root; a span that was not reached becomes one.
        for root in (*self._roots, *self._records):
            waiting = [(Node(root, 0, ""), "")]
            while waiting:
                node, below = waiting.pop()
                if node.record.span_id in self._seen:
                    continue
                self._seen.add(node.record.span_id)
                yield node
                if node.siblings:
                    self._mark_seen(node.siblings)
                else:
                    waiting += self._below(node, below)

    def _below(self, node: Node, below: str) -> list[tuple[Node, str]]:
        """Return the nodes directly below a span, last first."""
        tee, corner, bar = self._branches
        made: list[tuple[Node, str]] = []
        for number, group in enumerate(reversed(self._groups(node.record))):
            is_last = number == 0
            deeper = below + ("   " if is_last else bar) if node.depth < _MAX_INDENT else below
            branch = below + (corner if is_last else tee)
            first = group[0]
            siblings = group if len(group) > 1 else ()
            made.append((Node(first, node.depth + 1, branch, siblings, node.record), deeper))
        return made

    def _groups(self, record: Record) -> list[tuple[Record, ...]]:
        """Return the children of a span in groups of one, or of equal siblings."""
        children = self._children.get(record.span_id, [])
        if not self._fold or len(children) < _MANY:
            return [(child,) for child in children]
        by_name: dict[str, list[Record]] = {}
        for child in children:
            if child.span_id not in self._unfoldable:
                by_name.setdefault(child.name, []).append(child)
        many = {name: tuple(equal) for name, equal in by_name.items() if len(equal) >= _MANY}
        groups: list[tuple[Record, ...]] = []
        for child in children:
            equal = many.get(child.name)
            if equal is None or child.span_id in self._unfoldable:
                groups.append((child,))
            elif child is equal[0]:
                groups.append(equal)
        return groups

    def _mark_seen(self, siblings: Iterable[Record]) -> None:
        waiting = list(siblings)
        while waiting:
            record = waiting.pop()
            self._seen.add(record.span_id)
            waiting += [
                child
                for child in self._children.get(record.span_id, ())
                if child.span_id not in self._seen
            ]
