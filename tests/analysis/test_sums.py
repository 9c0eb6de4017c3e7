"""Self time, concurrency, statistics and comparisons add up."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.analysis.bottlenecks import bottlenecks_of, covered_by, drags, slacks
from otel_ext.analysis.comparison import compare
from otel_ext.analysis.concurrency import concurrency_of
from otel_ext.analysis.critical_path import critical_path
from otel_ext.analysis.operations import Operations, percentile
from otel_ext.analysis.self_time import self_intervals, self_times
from otel_ext.analysis.traces.times import times_of
from tests.analysis.traces import nested_traces, span, trace_of, traces

if TYPE_CHECKING:
    from otel_ext.analysis.traces.tree import TraceTree


def test_overlapping_children_are_not_subtracted_twice() -> None:
    """Nor is what they do outside of their parent."""
    trace = trace_of(
        span("a", 10, 100),
        span("b", 0, 40, "a"),
        span("c", 20, 60, "a"),
        span("d", 90, 500, "a"),
        span("e", 600, 700, "a"),
    )
    assert list(self_intervals(trace, times_of(trace), 0)) == [(60, 90)]


@given(traces())
def test_self_time_is_the_time_without_a_child(trace: TraceTree) -> None:
    """Counted moment by moment."""
    times = times_of(trace)
    for number, own in enumerate(self_times(trace, times)):
        moments = range(times.starts[number], times.ends[number])
        children = trace.children[number]
        assert own == sum(
            not any(times.starts[one] <= moment < times.ends[one] for one in children)
            for moment in moments
        )


@given(nested_traces())
def test_where_nothing_overlaps_self_times_add_up_to_the_root(trace: TraceTree) -> None:
    """Each moment belongs to one span."""
    times = times_of(trace)
    assert sum(self_times(trace, times)) == times.duration(0)
    assert concurrency_of(trace, times).peak <= 1


@given(traces())
def test_self_times_are_those_of_the_concurrency_profile(trace: TraceTree) -> None:
    """However many spans were active at once."""
    times = times_of(trace)
    own = self_times(trace, times)
    profile = concurrency_of(trace, times)
    assert sum(own) == sum(number * time for number, time in profile.time_at.items())
    assert profile.peak == max((number for number in profile.time_at if number), default=0)


def test_nested_spans_are_active_one_at_a_time() -> None:
    """A parent that waits for its child does not count."""
    trace = trace_of(span("a", 0, 100), span("b", 10, 90, "a"), span("c", 20, 80, "b"))
    found = concurrency_of(trace, times_of(trace))
    assert (found.time_at, found.peak, found.mean) == ({1: 100}, 1, 1.0)


@given(st.lists(st.integers(0, 1_000), min_size=1), st.sampled_from([50, 90, 95, 99, 100]))
def test_a_percentile_is_not_exceeded_by_so_many(values: list[int], percent: int) -> None:
    """And the next smaller value is, by more."""
    found = percentile(array("q", sorted(values)), percent)
    assert found in values
    assert sum(one <= found for one in values) * 100 >= percent * len(values)
    assert sum(one < found for one in values) * 100 < percent * len(values)


def test_statistics_of_an_operation() -> None:
    """Open spans count, but have no duration; placeholders do not count at all."""
    operations = Operations({"p": "shop"})
    trace = trace_of(
        span("root", 0, 100, "gone"),
        *(span(f"{n}", n, 2 * n, "root")._replace(name="query") for n in range(1, 5)),
        span("e", 5, 9, "root", state="error")._replace(name="query"),
        span("x", 5, 9, "root", state="abandoned")._replace(name="query"),
        span("o", 50, None, "root")._replace(name="query"),
    )
    operations.add(trace)
    root, query = operations.result()
    assert root.operation == ("shop", "root")
    assert (query.calls, query.open, query.errors, query.abandoned) == (7, 1, 1, 1)
    assert (query.total_ns, query.shortest_ns, query.longest_ns) == (18, 1, 4)
    assert query.percentiles == {"p50": 3, "p90": 4, "p95": 4, "p99": 4}
    assert query.mean_ns == 3


def test_drag_ends_where_a_sibling_would_be_waited_for() -> None:
    """And slack where one on the path starts."""
    trace = trace_of(
        span("a", 0, 100),
        span("b", 0, 60, "a"),
        span("c", 60, 100, "a"),
        span("d", 10, 45, "a"),
        span("e", 70, 95, "a"),
    )
    times = times_of(trace)
    path = critical_path(trace, times)
    covered = covered_by(trace, path)
    name = {number: one.name for number, one in enumerate(trace.spans)}
    assert {name[one]: ns for one, ns in drags(trace, times, path, covered).items()} == {
        "a": 100,
        "b": 15,
        "c": 5,
    }
    assert {name[one]: ns for one, ns in slacks(trace, times, covered).items()} == {"d": 15, "e": 5}


@given(st.lists(traces(), min_size=1, max_size=4))
def test_bottlenecks_share_the_paths(found: list[TraceTree]) -> None:
    """All shares together are the whole, and no drag exceeds its root."""
    whole = sum(times_of(trace).duration(root) for trace in found for root in trace.roots)
    result = bottlenecks_of(found)
    assert sum(one.path_ns for one in result) == whole
    if whole:
        assert sum(one.share for one in result) == pytest.approx(1.0)
    for one in result:
        assert 0 <= one.drag_ns <= whole
        assert one.drag_ns <= 0 or one.paths


def test_a_recursion_is_dragged_once() -> None:
    """The outermost span of it contains the others."""
    trace = trace_of(
        *(span(f"{n}", n, 100 - n, f"{n - 1}" if n else "")._replace(name="fib") for n in range(5))
    )
    [found] = bottlenecks_of([trace])
    assert (found.path_ns, found.drag_ns, found.paths) == (100, 100, 1)
    again = trace_of(
        span("a", 0, 100),
        span("b", 0, 30, "a")._replace(name="fib"),
        span("c", 10, 20, "b")._replace(name="fib"),
        span("d", 40, 60, "a")._replace(name="fib"),
    )
    assert {one.operation.name: one.drag_ns for one in bottlenecks_of([again])} == {
        "a": 100,
        "fib": 50,
    }


def test_each_root_has_a_path() -> None:
    """The longest decides what the traces wait for, whichever comes first."""
    found = bottlenecks_of([trace_of(span("a", 0, 1), span("b", 5, 1_000))])
    assert [(one.operation.name, one.path_ns) for one in found] == [("b", 995), ("a", 1)]


def test_slack_is_that_of_spans_beside_the_paths() -> None:
    """The least of them; what is only beside them has no share."""
    trace = trace_of(
        span("a", 0, 100),
        span("b", 0, 100, "a"),
        span("c", 10, 40, "a"),
        span("d", 10, 70, "a")._replace(name="c"),
    )
    found = {one.operation.name: one for one in bottlenecks_of([trace])}
    assert (found["c"].slack_ns, found["c"].path_ns, found["c"].paths) == (30, 0, 0)
    assert found["b"].slack_ns is None
    assert "c" not in {one.operation.name for one in bottlenecks_of([trace], least_share=0.01)}


def test_what_still_runs_is_not_compared() -> None:
    """It is neither faster nor slower so far."""
    before = trace_of(span("a", 0, 100), span("b", 0, 50, "a"))
    after = trace_of(span("a", 0, None), span("b", 0, 90, "a"))
    found = {one.operation.name: one for one in compare([before], [after]).differences}
    assert (found["a"].change, found["a"].self_ns, found["a"].share) == ("unfinished", 0, 0.0)
    assert (found["b"].change, found["b"].share) == ("slower", 1.0)


def test_a_comparison_names_what_is_slower_new_and_gone() -> None:
    """The differences add up to that of the whole."""
    before = trace_of(span("a", 0, 100), span("b", 0, 50, "a"), span("old", 50, 60, "a"))
    after = trace_of(span("a", 0, 160), span("b", 0, 100, "a"), span("new", 100, 120, "a"))
    found = compare([before], [after])
    assert {one.operation.name: (one.change, one.self_ns) for one in found.differences} == {
        "b": ("slower", 50),
        "new": ("new", 20),
        "old": ("gone", -10),
        "a": ("equal", 0),
    }
    assert found.self_ns == 60
    assert [round(one.share, 2) for one in found.differences] == [0.71, 0.29, 1.0, 0.0]


def test_sets_of_different_size_are_compared_by_trace() -> None:
    """Twice the traces are not twice as slow."""
    one = trace_of(span("a", 0, 100))
    found = compare([one], [one, one])
    assert [(diff.change, diff.self_ns) for diff in found.differences] == [("equal", 0)]
