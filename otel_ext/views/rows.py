"""Rows of a trace, in the order of its tree: one for each span, or for many equal siblings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.terminal.tree import branches

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.terminal.canvas import Canvas

__all__ = ["Row", "rows_of"]

_MAX_INDENT: Final = 40
# This many equal siblings become one row.
_MANY: Final = 5
# States in which nothing went wrong.
_FINE: Final = "ended"


class Row(NamedTuple):
    """One span, or equal siblings.

    Attributes:
        number: The span's number in the trace; that of the first sibling.
        depth: How many spans are above it.
        branch: The branch to draw before it.
        siblings: The numbers of all equal siblings; empty for a single span.
        hidden: How many spans are below the equal siblings, and so in no row.
    """

    number: int
    depth: int
    branch: str
    siblings: tuple[int, ...] = ()
    hidden: int = 0


def _with_those_above(tree: TraceTree, found: Collection[int]) -> set[int]:
    """Return the numbers of some spans and of all spans above them."""
    kept: set[int] = set()
    for number in found:
        above = number
        while above >= 0 and above not in kept:
            kept.add(above)
            above = tree.parents[above]
    return kept


def rows_of(
    tree: TraceTree,
    canvas: Canvas,
    *,
    matches: Collection[int] | None = None,
    fold: bool = True,
) -> list[Row]:
    """Return the rows of a trace.

    Args:
        tree: The trace.
        canvas: How the branches are drawn.
        matches: The numbers of the spans to show, which come with those above them; by
            default all.
        fold: Whether many siblings of one name become one row: if nothing went wrong in them
            or below them, and of matches only those without a match below them.
    """
    folds = _Folds(tree, matches, fold=fold)
    found = branches(folds.roots, folds.children_of, canvas, _MAX_INDENT)
    rows: list[Row] = []
    for branch, depth, number in found:
        siblings = folds.siblings.get(number, ())
        hidden = 0
        if siblings and matches is None:
            hidden = sum(1 for one in siblings for _ in tree.below(one)) - len(siblings)
        rows.append(Row(number, depth, branch, siblings, hidden))
    return rows


class _Folds:
    """The children to show of each span, equal ones by the first of them.

    Attributes:
        roots: The roots to show.
        siblings: By the number of the first one, all equal siblings that became one row.
    """

    def __init__(self, tree: TraceTree, matches: Collection[int] | None, *, fold: bool) -> None:
        self._tree = tree
        self._kept = None if matches is None else _with_those_above(tree, matches)
        self._fold = fold
        self._unfoldable = _unfoldable(tree, self._kept) if fold else set[int]()
        self.siblings: dict[int, tuple[int, ...]] = {}
        self.roots = [one for one in tree.roots if self._kept is None or one in self._kept]

    def children_of(self, number: int) -> list[int]:
        """Return the numbers of the spans to show directly below one."""
        if number in self.siblings:
            return []
        kept = self._kept
        children = [one for one in self._tree.children[number] if kept is None or one in kept]
        if not self._fold or len(children) < _MANY:
            return children
        by_name: dict[str, list[int]] = {}
        for child in children:
            if child not in self._unfoldable:
                by_name.setdefault(self._tree.spans[child].name, []).append(child)
        left_out: set[int] = set()
        for equal in by_name.values():
            if len(equal) >= _MANY:
                self.siblings[equal[0]] = tuple(equal)
                left_out.update(equal[1:])
        return [child for child in children if child not in left_out]


def _unfoldable(tree: TraceTree, kept: Collection[int] | None) -> set[int]:
    """Return the numbers of the spans with a row of their own, whatever their siblings are.

    Those that did not end well, with all above them; those above a selected one.
    """
    wrong = [number for number, span in enumerate(tree.spans) if span.state != _FINE]
    found = _with_those_above(tree, wrong)
    found.update(tree.parents[one] for one in kept or ())
    return found
