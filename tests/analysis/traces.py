"""Makes traces for tests of the analyses, by hand and by Hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.tree import make_tree

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree

__all__ = ["nested_traces", "span", "trace_of", "traces"]


def span(  # noqa: PLR0913 - each has a default
    span_id: str,
    start: int,
    end: int | None,
    parent: str = "",
    *,
    process: str = "p",
    thread: int = 1,
    task: int = 0,
    kind: str = "internal",
    state: str = "",
    error: str = "",
) -> Span:
    """Return a span whose name is its id."""
    return Span(
        "t",
        span_id,
        parent,
        span_id,
        state or ("running" if end is None else "ended"),  # type: ignore[arg-type]
        start,
        end,
        start if end is None else end,
        kind,
        process=process,
        lineage=(process, thread, task, f"Task-{task}"),
        error=error,
    )


def trace_of(*spans: Span) -> TraceTree:
    """Return the trace of some spans."""
    return make_tree(spans)


@st.composite
def traces(draw: st.DrawFn, *, open_spans: bool = True, most: int = 30) -> TraceTree:
    """Draw a trace: children anywhere, also outside of their parents, in up to two processes."""
    count = draw(st.integers(1, most))
    spans: list[Span] = []
    for number in range(count):
        parent = draw(st.integers(-1, number - 1)) if number else -1
        start = draw(st.integers(0, 100))
        end = start + draw(st.integers(0, 60))
        is_open = open_spans and draw(st.booleans())
        spans.append(
            span(
                f"{number:x}",
                start,
                None if is_open else end,
                "" if parent < 0 else f"{parent:x}",
                process=draw(st.sampled_from("pq")),
                task=draw(st.integers(0, 2)),
                kind=draw(st.sampled_from(["internal", "producer", "consumer"])),
            )
        )
    return make_tree(draw(st.permutations(spans)))


@st.composite
def nested_traces(draw: st.DrawFn) -> TraceTree:
    """Draw a trace in which children are one after another, within their parents."""
    spans = [span("0", 0, 1_000)]
    rooms = [("0", 0, 1_000)]  # where a child may be, and of which span
    for number in range(1, draw(st.integers(1, 20))):
        parent, low, high = rooms.pop(draw(st.integers(0, len(rooms) - 1)))
        start = draw(st.integers(low, high))
        end = draw(st.integers(start, high))
        name = f"{number:x}"
        spans.append(span(name, start, end, parent))
        rooms += [(parent, low, start), (name, start, end), (parent, end, high)]
    return make_tree(draw(st.permutations(spans)))
