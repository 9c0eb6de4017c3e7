"""Arranges items as trees, each below its parent, and draws the branches before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from otel_ext.terminal.canvas import Canvas

__all__ = ["TreeNode", "branches", "grow", "roots_of"]

Item = TypeVar("Item")
Node = TypeVar("Node")


class TreeNode(Generic[Item]):
    """An item of a tree.

    Attributes:
        item: The item.
        parent: The node above it; None for a root.
        children: The nodes directly below it.
    """

    __slots__ = ("children", "item", "parent")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.parent: TreeNode[Item] | None = None
        self.children: list[TreeNode[Item]] = []


def grow(
    items: Sequence[Item], key_of: Callable[[Item], Hashable], parent_of: Callable[[Item], Hashable]
) -> list[TreeNode[Item]]:
    """Return a node for each item, in the same order, connected as trees.

    An item whose parent is missing becomes a root, as does one of each circle of parents.
    If items have the same key, the first one is the parent of all their children.
    """
    nodes = [TreeNode(item) for item in items]
    by_key: dict[Hashable, TreeNode[Item]] = {}
    for node in nodes:
        by_key.setdefault(key_of(node.item), node)
    for node in nodes:
        node.parent = by_key.get(parent_of(node.item))
    _cut_circles(nodes)
    for node in nodes:
        if node.parent is not None:
            node.parent.children.append(node)
    return nodes


def roots_of(nodes: Iterable[TreeNode[Item]]) -> list[TreeNode[Item]]:
    """Return the nodes without a parent."""
    return [node for node in nodes if node.parent is None]


def _cut_circles(nodes: Sequence[TreeNode[Item]]) -> None:
    walk_of: dict[TreeNode[Item], int] = {}
    for number, node in enumerate(nodes):
        above: TreeNode[Item] | None = node
        while above is not None and above not in walk_of:
            walk_of[above] = number
            above = above.parent
        if above is not None and walk_of[above] == number:
            above.parent = None


def branches(
    roots: Iterable[Node],
    children_of: Callable[[Node], Sequence[Node]],
    canvas: Canvas,
    max_indent: int,
) -> Iterator[tuple[str, int, Node]]:
    """Yield the nodes of trees in order, each with the branch to draw before it and its depth.

    Args:
        roots: The topmost nodes.
        children_of: Returns the nodes directly below one.
        canvas: How the branches are drawn.
        max_indent: The deepest level that is indented further than the one above it.

    >>> from otel_ext.terminal.canvas import Canvas
    >>> below = {"a": ["b", "d"], "b": ["c"]}
    >>> for branch, _, name in branches(["a"], lambda name: below.get(name, []), Canvas(), 12):
    ...     print(branch + name)
    a
    ├─ b
    │  └─ c
    └─ d
    """
    tee, corner, bar = canvas.branches
    for root in roots:
        waiting = [("", "", 0, root)]
        while waiting:
            branch, below, depth, node = waiting.pop()
            yield branch, depth, node
            children = children_of(node)
            for number in reversed(range(len(children))):
                is_last = number == len(children) - 1
                deeper = below + ("   " if is_last else bar) if depth < max_indent else below
                child = children[number]
                waiting.append((below + (corner if is_last else tee), deeper, depth + 1, child))
