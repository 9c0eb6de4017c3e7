"""Orders open spans as trees: each under its parent, also across processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.observe.snapshot import OpenSpan
    from otel_ext.record.merge import SpanKey

__all__ = ["as_tree"]

_MAX_INDENT = 12


def as_tree(
    spans: Sequence[OpenSpan], *, ascii_only: bool = False
) -> Iterator[tuple[str, OpenSpan]]:
    """Yield the spans in tree order, each with the branch to draw before it.

    A span whose parent is missing becomes a root. Every span is yielded once, even if
    parents form a circle.

    Args:
        spans: Oldest first.
        ascii_only: Whether to draw the branches in ASCII.
    """

    def key_of(span: OpenSpan) -> tuple[str, SpanKey]:
        # By process too: spans of several processes may have the same ids.
        return span.process.id, span.record.key

    tee, corner, bar = ("|- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
    known = {span.record.key for span in spans}
    children: dict[SpanKey, list[OpenSpan]] = {}
    roots: list[OpenSpan] = []
    for span in spans:
        parent = (span.record.trace_id, span.record.parent_span_id)
        if parent in known and parent != span.record.key:
            children.setdefault(parent, []).append(span)
        else:
            roots.append(span)
    seen: set[tuple[str, SpanKey]] = set()
    # Parents in a circle have no root; a span that was not reached becomes one.
    for root in (*roots, *spans):
        waiting = [("", "", root)]
        while waiting:
            branch, below, span = waiting.pop()
            if key_of(span) in seen:
                continue
            seen.add(key_of(span))
            yield branch, span
            own_children = children.get(span.record.key, [])
            for child in reversed(own_children):
                is_last = child is own_children[-1]
                deeper = (
                    below + ("   " if is_last else bar) if len(below) < 3 * _MAX_INDENT else below
                )
                waiting.append((below + (corner if is_last else tee), deeper, child))
