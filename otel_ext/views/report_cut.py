"""Which spans of a large trace are in a report: those of its first levels.

Times, self times and critical paths are those of the whole trace, whatever is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.critical_path import Segment, critical_path, path_roots
from otel_ext.readable import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.analysis.critical_path import CriticalPath
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["Cut", "cut", "kept_paths"]


class Cut(NamedTuple):
    """The spans of a trace that are kept.

    Attributes:
        kept: Their numbers in the trace, parents before children.
        place_of: For each span of the trace its place among those, or that of the nearest
            span above it that is kept.
        left_out: How many spans are left out.
    """

    kept: Sequence[int]
    place_of: Sequence[int]
    left_out: int = 0

    @property
    def note(self) -> str:
        """What a reader has to know of what is left out; empty if nothing is."""
        if not self.left_out:
            return ""
        return (
            f"left out: {count_of(self.left_out, 'span')} of the deepest levels; durations,"
            " self times and the critical path count them, and the path shows the nearest span"
            " above in their place"
        )


def cut(tree: TraceTree, most: int) -> Cut:
    """Return the first levels of a trace; of the last one, the spans that come first.

    Args:
        tree: The trace.
        most: How many spans are kept, at least one.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> trace = make_tree(
    ...     [
    ...         Span("t", "a", "", "request", "ended", 0, 100, 100),
    ...         Span("t", "b", "a", "query", "ended", 10, 50, 50),
    ...         Span("t", "c", "b", "fetch", "ended", 10, 20, 20),
    ...         Span("t", "d", "a", "query", "ended", 60, 90, 90),
    ...     ]
    ... )
    >>> cut(trace, 3)
    Cut(kept=[0, 1, 3], place_of=[0, 1, 1, 2], left_out=1)
    """
    number = len(tree.spans)
    if number <= most:
        return Cut(range(number), range(number))
    levels = [0] * number
    for span, parent in enumerate(tree.parents):  # parents before children
        if parent >= 0:
            levels[span] = levels[parent] + 1
    kept = sorted(sorted(range(number), key=levels.__getitem__)[:most])
    place_of = [-1] * number
    for place, span in enumerate(kept):
        place_of[span] = place
    for span, parent in enumerate(tree.parents):
        if place_of[span] < 0 <= parent:
            place_of[span] = place_of[parent]
    return Cut(kept, place_of, number - len(kept))


def kept_paths(tree: TraceTree, times: Times, found: Cut) -> Iterator[CriticalPath]:
    """Yield the critical paths of the whole trace, with the places of the spans that are kept.

    A piece of a span that is left out belongs to the nearest span above that is kept. The path
    of a root that is left out is left out too.
    """
    is_kept = set(found.kept) if found.left_out else None
    for root in path_roots(tree, times):
        if is_kept is not None and root not in is_kept:
            continue
        path = critical_path(tree, times, root)
        if is_kept is None:
            yield path
        else:
            segments = tuple(_placed(path.segments, found, is_kept))
            yield path._replace(root=found.place_of[root], segments=segments)


def _placed(segments: Sequence[Segment], found: Cut, is_kept: set[int]) -> Iterator[Segment]:
    """Yield pieces with the places of kept spans; what belongs to one span is one piece."""
    last: Segment | None = None
    for one in segments:
        place = found.place_of[one.span]
        beside = found.place_of[one.beside] if one.beside in is_kept else -1
        placed = one._replace(span=place, beside=-1 if beside == place else beside)
        if last is None:
            last = placed
        elif last.span == place and last.end_ns == one.start_ns:
            beside = last.beside if last.beside == placed.beside else -1
            last = last._replace(end_ns=one.end_ns, beside=beside)
        else:
            yield last
            last = placed
    if last is not None:
        yield last
