"""`TraceTree`: the spans of one trace as a tree, whatever is missing or wrong in it.

A tree is kept as lists by number, not as objects that refer to each other: a chain of
100,000 spans needs no recursion, and the same lists are easy to write as JSON.
"""

from __future__ import annotations

from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.traces.span import missing_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span

__all__ = ["TraceTree", "make_tree"]

_NO_CHILDREN: Final[list[int]] = []
_START: Final = attrgetter("start_ns")
_ORDER: Final = attrgetter("start_ns", "span_id")
_UNSEEN: Final[Mapping[str, int]] = MappingProxyType({})


class TraceTree(NamedTuple):
    """The spans of one trace. Spans are named by their number in `spans`.

    Attributes:
        trace_id: Its id.
        spans: Each span, then all below it; siblings by their start.
        parents: The number of each span's parent; -1 for a root.
        children: The numbers of each span's children, by their start.
        roots: The numbers of the spans without a parent, by their start.
        process: The only process of these spans, if others use the same trace id; else empty.
        cycles: The numbers of spans that were taken as roots since each is, by its parents,
            a parent of itself.
        last_seen: Up to when each process is known to have lived, nanoseconds since the epoch,
            by its id, where that is later than the last of its records here.
        adjust_clocks: Whether analyses assume that the clocks of its processes differ.
    """

    trace_id: str
    spans: tuple[Span, ...]
    parents: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    roots: tuple[int, ...]
    process: str = ""
    cycles: tuple[int, ...] = ()
    last_seen: Mapping[str, int] = _UNSEEN
    adjust_clocks: bool = False

    @property
    def start_ns(self) -> int:
        """When the first span started."""
        return min(span.start_ns for span in self.spans)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of parents that no record describes."""
        return tuple(number for number, span in enumerate(self.spans) if span.state == "missing")

    def after(self) -> list[int]:
        """Return for each span the number after those of all spans below it.

        They follow it without a gap, since parents come before children.
        """
        found = list(range(1, len(self.spans) + 1))
        for number in reversed(range(len(self.spans))):
            parent = self.parents[number]
            if parent >= 0:
                found[parent] = max(found[parent], found[number])
        return found

    def below(self, number: int) -> Iterator[int]:
        """Yield a span and all spans below it, parents first.

        >>> from otel_ext.analysis.traces.span import Span
        >>> trace = make_tree(
        ...     [
        ...         Span("t", "a", "", "root", "ended", 0, 9, 9),
        ...         Span("t", "b", "a", "child", "ended", 1, 5, 5),
        ...     ]
        ... )
        >>> list(trace.below(0)), trace.parents
        ([0, 1], (-1, 0))
        """
        waiting = [number]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(reversed(self.children[found]))

    def above(self, number: int) -> Iterator[int]:
        """Yield the parent of a span, the parent of that, and so on."""
        number = self.parents[number]
        while number >= 0:
            yield number
            number = self.parents[number]


def make_tree(
    spans: Iterable[Span], *, process: str = "", last_seen: Mapping[str, int] = _UNSEEN
) -> TraceTree:
    """Return the tree of some spans of one trace, one of each id.

    A parent that no record describes becomes a placeholder, whose times are those of its
    children. Where spans are each other's parents, the one that started first is a root.

    Args:
        spans: At least one, in any order.
        process: As in `TraceTree`.
        last_seen: As in `TraceTree`.
    """
    # Spans by their place in the order of their starts; placeholders come last.
    by_start = sorted(spans, key=_START)
    if len({span.start_ns for span in by_start}) < len(by_start):
        by_start.sort(key=_ORDER)  # twice is quicker than once where ties are few
    places = {span.span_id: place for place, span in enumerate(by_start)}
    parents = [places.get(span.parent_span_id, -1) for span in by_start]
    _add_placeholders(by_start, parents)
    children: list[list[int]] = [_NO_CHILDREN] * len(by_start)
    roots: list[int] = []
    for place, parent in enumerate(parents):
        if parent < 0:
            roots.append(place)
        elif children[parent]:
            children[parent].append(place)
        else:
            children[parent] = [place]
    if len(by_start) > len(places):
        roots.sort(key=lambda place: _ORDER(by_start[place]))
    order = _order_of(roots, children)
    cut: set[int] = set()
    if len(order) < len(by_start):  # some are reached from no root
        cut = _cut_cycles(parents, children, set(order))
        roots = sorted([*roots, *cut], key=lambda place: _ORDER(by_start[place]))
        order = _order_of(roots, children)
    tree = _numbered(order, by_start, parents, children, cut)
    return tree._replace(process=process, last_seen=last_seen)


def _add_placeholders(by_start: list[Span], parents: list[int]) -> None:
    """Add a placeholder for each parent without a record, below which its children are."""
    orphans: dict[str, list[int]] = {}
    for place, parent in enumerate(parents):
        if parent < 0 and (span_id := by_start[place].parent_span_id):
            orphans.setdefault(span_id, []).append(place)
    for span_id, places in orphans.items():
        for place in places:
            parents[place] = len(by_start)
        by_start.append(_placeholder(span_id, [by_start[place] for place in places]))
        parents.append(-1)


def _placeholder(span_id: str, children: Sequence[Span]) -> Span:
    ends = [span.end_ns for span in children if span.end_ns is not None]
    return missing_span(
        children[0].trace_id,
        span_id,
        min(span.start_ns for span in children),
        max(ends) if len(ends) == len(children) else None,
    )


def _order_of(roots: Iterable[int], children: Sequence[list[int]]) -> list[int]:
    """Return spans, each followed by all below it; siblings by start."""
    order: list[int] = []
    waiting = [*roots][::-1]
    while waiting:
        found = waiting.pop()
        order.append(found)
        if below := children[found]:
            waiting += below[::-1]
    return order


def _cut_cycles(parents: list[int], children: list[list[int]], reached: set[int]) -> set[int]:
    """Cut the first span of each cycle from its parent; return those.

    Args:
        parents: The parent of each span, which are by their start.
        children: The children of each.
        reached: Those that are below a root.
    """
    cut: set[int] = set()
    for place in range(len(parents)):
        if place in reached:
            continue
        # Up to a span that is met twice: it is in the cycle, `place` may only hang on it.
        seen: set[int] = set()
        found = place
        while found not in seen:
            seen.add(found)
            found = parents[found]
        circle = [found]
        while (above := parents[circle[-1]]) != found:
            circle.append(above)
        first = min(circle)
        children[parents[first]].remove(first)
        parents[first] = -1
        cut.add(first)
        reached.update(_order_of([first], children))
    return cut


def _numbered(
    order: Sequence[int],
    by_start: Sequence[Span],
    parents: Sequence[int],
    children: Sequence[list[int]],
    cut: set[int],
) -> TraceTree:
    """Return the tree of spans, numbered in an order with parents before children."""
    numbers = [0] * len(order)
    for number, place in enumerate(order):
        numbers[place] = number
    numbers.append(-1)  # the number of no parent, whose place is -1
    spans = tuple([by_start[place] for place in order])
    number_of = numbers.__getitem__
    none: tuple[int, ...] = ()
    return TraceTree(
        spans[0].trace_id,
        spans,
        tuple([numbers[parents[place]] for place in order]),
        tuple(
            [
                tuple(map(number_of, below)) if (below := children[place]) else none
                for place in order
            ]
        ),
        tuple([numbers[place] for place in order if parents[place] < 0]),
        cycles=tuple(sorted(map(number_of, cut))),
    )
