"""The critical path tiles its root, and goes through what the root waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from otel_ext.analysis.critical_path import critical_path, path_roots
from otel_ext.analysis.traces.times import times_of
from tests.analysis.traces import span, trace_of, traces

if TYPE_CHECKING:
    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.tree import TraceTree

FILE = Path(__file__).parents[1] / "cases" / "critical_path" / "cases.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))["cases"]


def path_of(trace: TraceTree, root: int = 0) -> list[tuple[str, int, int]]:
    """Return the path as names, starts and ends."""
    found = critical_path(trace, times_of(trace), root)
    return [(trace.spans[one.span].name, one.start_ns, one.end_ns) for one in found.segments]


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_the_shared_cases(case: dict[str, Any]) -> None:
    """The viewer's tests read the same; a difference from Jaeger has a reason."""
    trace = trace_of(
        *(
            span(
                span_id,
                start,
                end,
                parent,
                **dict(zip(("process", "kind", "thread", "task"), rest, strict=False)),
            )
            for span_id, parent, start, end, *rest in case["spans"]
        )
    )
    roots = path_roots(trace, times_of(trace))
    found = {trace.spans[root].name: list(map(list, path_of(trace, root))) for root in roots}
    assert found == case["paths"]
    if "jaeger" in case:
        assert ("why" in case) == (next(iter(case["paths"].values())) != case["jaeger"])


def test_of_overlapping_siblings_the_last_counts() -> None:
    """What ran beside it is named."""
    trace = trace_of(span("a", 0, 100), span("b", 10, 60, "a"), span("c", 40, 90, "a"))
    assert path_of(trace) == [("a", 0, 40), ("c", 40, 90), ("a", 90, 100)]
    first = critical_path(trace, times_of(trace)).segments[0]
    assert trace.spans[first.beside].name == "b"


def test_an_ended_span_has_not_waited_for_an_open_one() -> None:
    """Even if nothing of its process was recorded after the end."""
    trace = trace_of(span("a", 0, 100), span("b", 10, 60, "a"), span("c", 70, None, "a"))
    assert path_of(trace) == [("a", 0, 10), ("b", 10, 60), ("a", 60, 100)]
    assert path_roots(trace, times_of(trace)) == (0, 2)


@pytest.mark.parametrize(
    "below", [[], [span("bb", 5, 50, "b", task=1)]], ids=["alone", "above one"]
)
def test_what_only_the_time_connects_is_marked(below: list[Span]) -> None:
    """Of tasks at the same time it is not known which one the next waited for."""
    trace = trace_of(
        span("a", 0, 100),
        span("b", 0, 50, "a", task=1),
        *below,
        span("c", 0, 40, "a", task=2),
        span("d", 50, 100, "a", task=3),
    )
    found = critical_path(trace, times_of(trace)).segments
    before = [one for one in found if one.end_ns == 50]
    assert [one.is_inferred for one in before] == [True]


def test_an_open_root_gives_a_lower_bound() -> None:
    """Its end is the last that is known of its process."""
    trace = trace_of(span("a", 0, None), span("b", 10, 70, "a"))
    found = critical_path(trace, times_of(trace))
    assert found.is_lower_bound
    assert path_of(trace) == [("a", 0, 10), ("b", 10, 70)]


@given(traces())
def test_every_path_tiles_its_root(trace: TraceTree) -> None:
    """Each moment of a root belongs to one segment."""
    times = times_of(trace)
    for root in path_roots(trace, times):
        at = times.starts[root]
        for segment in critical_path(trace, times, root).segments:
            assert segment.start_ns == at
            assert segment.end_ns > at
            assert times.starts[segment.span] <= at
            assert segment.end_ns <= times.ends[segment.span]
            at = segment.end_ns
        assert at == times.ends[root]


@pytest.mark.usefixtures("untraced")  # it takes long enough without
def test_a_chain_of_100_000_spans_needs_no_recursion() -> None:
    """Nor does a span with 100,000 children need long."""
    number = 100_000
    deep = [span(f"{i:x}", i, 2 * number - i, f"{i - 1:x}" if i else "") for i in range(number)]
    assert len(path_of(trace_of(*deep))) == 2 * number - 1
    wide = [span("w", 0, number), *(span(f"{i:x}", i, i + 1, "w") for i in range(number))]
    assert len(path_of(trace_of(*wide))) == number
