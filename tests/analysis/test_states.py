"""Errors, blocked spans and times of spans without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from otel_ext.analysis.blocked import blocked_now, open_above
from otel_ext.analysis.errors import errors_in, group_errors
from otel_ext.analysis.traces.times import times_of
from tests.analysis.traces import span, trace_of, traces

if TYPE_CHECKING:
    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree


def test_an_error_is_followed_to_where_it_began() -> None:
    """Of several failed children, the last to end is what made the parent fail."""
    trace = trace_of(
        span("a", 0, 100, state="error"),
        span("b", 0, 40, "a", state="error"),
        span("c", 10, 90, "a", state="error"),
        span("d", 20, 80, "c", state="error"),
    )
    found = {trace.spans[one.span].name: one for one in errors_in(trace)}
    assert {name: one.role for name, one in found.items()} == {
        "a": "propagated",
        "b": "origin",
        "c": "propagated",
        "d": "origin",
    }
    assert trace.spans[found["a"].origin].name == "d"
    assert not any(one.is_swallowed for one in found.values())


def test_a_caught_error_is_swallowed() -> None:
    """Its parent went on without an error."""
    trace = trace_of(
        span("a", 0, 100),
        span("b", 0, 40, "a", state="error"),
        span("c", 10, 30, "b", state="error", error="Timeout: 5 s"),
    )
    assert [one.is_swallowed for one in errors_in(trace)] == [True, False]
    [group] = group_errors([trace, trace], {"p": "shop"})
    assert (group.operation, group.text) == (("shop", "c"), "Timeout: 5 s")
    assert (group.errors, group.swallowed, group.traces) == (2, 2, ("t",))


def test_every_error_below_a_caught_one_is_caught() -> None:
    """Not only the last, which made the parent fail."""
    trace = trace_of(
        span("a", 0, 100),
        span("b", 0, 90, "a", state="error"),
        span("c", 10, 30, "b", state="error"),
        span("d", 40, 80, "b", state="error"),
    )
    assert {one.operation.name: one.swallowed for one in group_errors([trace])} == {"c": 1, "d": 1}


@pytest.mark.parametrize(
    "parent", [span("a", 0, None), span("a", 0, 100, state="abandoned"), span("x", 0, 100)]
)
def test_an_error_is_not_caught_by_a_span_that_did_not_go_on(parent: Span) -> None:
    """By an open or abandoned one, or one that no record describes."""
    [error] = errors_in(trace_of(parent, span("b", 0, 40, "a", state="error")))
    assert not error.is_swallowed


def test_an_error_is_not_caught_by_a_span_that_did_not_wait_for_it() -> None:
    """Such as that of a job in a queue, or in a task that outlives its parent."""
    job = span("b", 500, 600, "a", process="q", kind="consumer", state="error")
    [error] = errors_in(trace_of(span("a", 0, 100, kind="producer"), job))
    assert not error.is_swallowed
    task = span("b", 50, 600, "a", task=2, state="error")
    [error] = errors_in(trace_of(span("a", 0, 100), task))
    assert not error.is_swallowed


def test_what_a_dead_process_left_open_waits_for_nothing() -> None:
    """Nor does a span whose parent no record describes."""
    lost = span("b", 10, None, "a", state="lost")
    assert blocked_now(trace_of(span("a", 0, None, state="lost"), lost)) == []
    trace = trace_of(span("a", 0, None), lost, span("c", 10, None, "gone"))
    assert [trace.spans[one.span].name for one in blocked_now(trace)] == ["a", "c"]


def test_what_a_trace_waits_for_now() -> None:
    """Open leaves with the open spans above them, the oldest first."""
    trace = trace_of(
        span("a", 0, None),
        span("b", 10, None, "a"),
        span("c", 15, 20, "b"),
        span("d", 30, None, "c"),
        span("e", 5, None, "a"),
    )
    found = [
        (
            trace.spans[one.span].name,
            one.age_ns,
            [trace.spans[up].name for up in open_above(trace, one.span)],
        )
        for one in blocked_now(trace._replace(last_seen={"p": 50}))
    ]
    assert found == [("e", 45, ["a"]), ("d", 20, ["b", "a"])]


def test_an_open_span_lasts_until_its_process_was_last_seen() -> None:
    """Never by the clock of the reader, and at least as long as what is below it."""
    trace = trace_of(span("a", 0, None), span("b", 10, 70, "a", process="q"), span("c", 5, 9, "a"))
    assert times_of(trace).ends == (70, 9, 70)
    assert times_of(trace._replace(last_seen={"p": 200})).ends == (200, 9, 70)


def test_clocks_of_other_processes_are_adjusted_on_request() -> None:
    """A child that fits is put into the middle, a longer one begins with its parent."""
    trace = trace_of(
        span("a", 100, 200),
        span("b", 500, 540, "a", process="q"),
        span("c", 510, 520, "b", process="q"),
        span("d", 0, 300, "a", process="r"),
        span("e", 90, 150, "a"),
    )
    names = [one.name for one in trace.spans]
    assert not any(times_of(trace).shifts)
    adjusted = times_of(trace._replace(adjust_clocks=True))
    found = dict(zip(names, zip(adjusted.starts, adjusted.ends, strict=True), strict=True))
    assert found == {
        "a": (100, 200),
        "b": (130, 170),
        "c": (140, 150),
        "d": (100, 400),
        "e": (90, 150),
    }


def test_clocks_are_adjusted_only_between_machines() -> None:
    """Processes of one boot share a clock, and a consumer starts after its producer."""
    one, other, elsewhere = (
        f"{boot:08x}-{pid}-9-{7:08x}" for boot, pid in ((1, 2), (1, 3), (4, 5))
    )
    trace = trace_of(
        span("a", 100, 200, process=one),
        span("b", 500, 540, "a", process=other),
        span("c", 500, 540, "a", process=elsewhere),
        span("d", 110, 120, "a", process=one, kind="producer"),
        span("e", 700, 800, "d", process=elsewhere, kind="consumer"),
    )
    adjusted = times_of(trace._replace(adjust_clocks=True))
    names = [one.name for one in trace.spans]
    assert {name: shift for name, shift in zip(names, adjusted.shifts, strict=True) if shift} == {
        "c": -370
    }


@given(traces())
def test_times_are_whole(trace: TraceTree) -> None:
    """Nothing ends before it starts, and an open span not before those below it."""
    times = times_of(trace)
    for number, one in enumerate(trace.spans):
        assert times.starts[number] <= times.ends[number]
        if one.is_open:
            assert all(times.ends[below] <= times.ends[number] for below in trace.children[number])
