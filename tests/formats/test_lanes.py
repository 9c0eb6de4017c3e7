"""Spans of one lane are within each other or apart, and finding their lanes is quick."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.analysis.traces.times import times_of
from otel_ext.formats.write.lanes import lanes_of
from otel_ext.formats.write.speedscope import to_speedscope
from otel_ext.formats.write.written import TraceToWrite
from tests.analysis.traces import span, trace_of, traces


def to_write(*spans: object) -> TraceToWrite:
    """Return the trace of some spans."""
    tree = trace_of(*spans)  # type: ignore[arg-type]
    return TraceToWrite(tree, times_of(tree), {}, {})


def lanes_by_name(*spans: object) -> dict[str, int]:
    """Return the lane of each span of a trace."""
    return {one.span.name: one.lane for one in lanes_of([to_write(*spans)])}


@given(st.lists(traces(), max_size=3), st.sampled_from([None, 2**63]))
def test_spans_of_a_lane_never_cross(trees: list[object], open_end: int | None) -> None:
    """Whatever traces are in one thread, and each span is in one lane."""
    found = [TraceToWrite(tree, times_of(tree), {}, {}) for tree in trees]  # type: ignore[arg-type]
    drawn = lanes_of(found, open_end=open_end)
    assert len(drawn) == sum(len(list(trace.spans())) for trace in found)
    assert [one.start for one in drawn] == sorted(one.start for one in drawn)
    for at, one in enumerate(drawn):
        for later in drawn[at + 1 :]:
            if (later.lane, later.span.lineage) == (one.lane, one.span.lineage):
                assert later.start >= one.end or later.end <= one.end


def test_spans_that_are_nested_need_one_lane() -> None:
    """And those that overlap another one each; what is empty is used again."""
    root, left, right = span("r", 0, 100), span("a", 10, 60, "r"), span("b", 40, 90, "r")
    assert lanes_by_name(root, left, span("c", 70, 80, "r")) == {"r": 0, "a": 0, "c": 0}
    assert lanes_by_name(root, left, right) == {"r": 0, "a": 0, "b": 1}
    again = span("d", 95, 120, "r")
    assert lanes_by_name(root, left, right, again) == {"r": 0, "a": 0, "b": 1, "d": 1}


def test_a_span_is_in_the_lane_of_its_parent() -> None:
    """Not within another one that has room for it."""
    spans = [span("r", 0, 100), span("a", 10, 60, "r"), span("b", 40, 90, "r")]
    assert lanes_by_name(*spans, span("c", 45, 50, "b"))["c"] == 1


def test_thousands_of_overlapping_spans_are_quick() -> None:
    """Each on a lane of its own: the search for one does not look at all of them."""
    number = 6_000
    spans = [span(f"{at:x}z", at, 10**6 + 2 * at, "r") for at in range(number)]
    trace = to_write(span("r", 0, 10**9), *spans)
    begun = time.process_time()
    assert len({one.lane for one in lanes_of([trace])}) == number
    to_speedscope([trace], "test")
    assert time.process_time() - begun < 1.5
