"""Builds the tree of a trace: one record per span, each under its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.terminal.tree import branches, grow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record
    from otel_ext.terminal.canvas import Canvas
    from otel_ext.terminal.tree import TreeNode

    _Tree: TypeAlias = TreeNode[tuple[Record, ...]]

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
    records: Sequence[Record], canvas: Canvas, *, process: str = "", fold: bool = False
) -> Trace:
    """Return the trace of `records`; a span whose parent is missing becomes a root.

    Args:
        records: One record per span, at least one, all of the same trace.
        canvas: How the branches are drawn.
        process: As in `Trace`.
        fold: Whether many siblings of one name become one line, if nothing went wrong in
            them or below them.
    """
    ordered = sorted(records, key=lambda record: record.started_ns)
    groups: list[tuple[Record, ...]] = [(record,) for record in ordered]
    trees = grow(groups, lambda group: group[0].span_id, lambda group: group[0].parent_span_id)
    if fold:
        _fold(trees)
    nodes = tuple(
        Node(
            node.item[0],
            depth,
            branch,
            node.item if len(node.item) > 1 else (),
            node.parent.item[0] if node.parent is not None else None,
        )
        for branch, depth, node in branches(trees, canvas, _MAX_INDENT)
    )
    return Trace(ordered[0].trace_id, ordered[0].started_ns, len(ordered), nodes, process)


def _fold(trees: Sequence[_Tree]) -> None:
    """Make one node of many siblings of one name, unless they or spans below are not fine."""
    unfoldable = _unfoldable(trees)
    for tree in trees:
        if len(tree.children) < _MANY:
            continue
        by_name: dict[str, list[_Tree]] = {}
        for child in tree.children:
            if child not in unfoldable:
                by_name.setdefault(child.item[0].name, []).append(child)
        left_out: set[_Tree] = set()
        for equal in by_name.values():
            if len(equal) >= _MANY:
                equal[0].item = tuple(one.item[0] for one in equal)
                equal[0].children = []
                left_out.update(equal[1:])
        tree.children = [child for child in tree.children if child not in left_out]


def _unfoldable(trees: Sequence[_Tree]) -> set[_Tree]:
    """Return the spans that are not fine, and all spans above them."""
    found: set[_Tree] = set()
    for tree in trees:
        above: _Tree | None = None if is_fine(tree.item[0]) else tree
        while above is not None and above not in found:
            found.add(above)
            above = above.parent
    return found
