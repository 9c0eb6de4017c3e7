"""`Forest` makes the same trees of the same records, whatever their order and repeats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.analysis.traces.forest import Forest, Observed
from otel_ext.record.merge import rank_in
from tests.analysis.traces import span, trace_of

if TYPE_CHECKING:
    from otel_ext.analysis.traces.span import State
    from otel_ext.analysis.traces.tree import TraceTree

FOLDER = Path(__file__).parents[1] / "cases"
CASES = sorted((FOLDER / "merge").glob("*.json"))
TREES: list[dict[str, Any]] = json.loads((FOLDER / "forest" / "cases.json").read_text("utf-8"))[
    "cases"
]


def meta(
    phase: str, span_id: str, seq: int, *, parent: str = "", process: str = "p", at: int = 0
) -> dict[str, object]:
    """Return the metadata of a record whose span's name is its id."""
    when = f"2026-11-20T16:00:{at:02d}.000000Z"
    found: dict[str, object] = {
        "timestamp": when,
        "event": f"{span_id}.{phase}",
        "kind": "span",
        "phase": phase,
        "trace_id": "t",
        "span_id": span_id,
        "seq": seq,
        "process": process,
        "thread": {"id": 1},
    }
    if parent:
        found["parent_span_id"] = parent
    if phase == "end":
        found |= {"start": "2026-11-20T16:00:00.000000Z", "status": {"code": "ok"}}
    return found


def trees(*metas: dict[str, object]) -> list[TraceTree]:
    """Return the trees of some records."""
    forest = Forest()
    for one in metas:
        forest.add(one)
    return list(forest.trees())


def shape(trace: TraceTree) -> dict[str, tuple[str, str]]:
    """Return the parent's name and the state of each span, by its name."""
    return {
        span.name: (trace.spans[above].name if above >= 0 else "", span.state)
        for span, above in zip(trace.spans, trace.parents, strict=True)
    }


def test_a_missing_parent_has_a_placeholder_until_it_comes() -> None:
    """Its children are below it, and it is named as missing."""
    child = meta("start", "c", 2, parent="a")
    [trace] = trees(child, meta("start", "d", 3, parent="a"))
    assert shape(trace) == {
        "(not recorded)": ("", "missing"),
        "c": ("(not recorded)", "running"),
        "d": ("(not recorded)", "running"),
    }
    assert trace.missing == (0,)
    [trace] = trees(child, meta("start", "a", 1))
    assert shape(trace) == {"a": ("", "running"), "c": ("a", "running")}


@pytest.mark.parametrize("case", TREES, ids=[case["title"] for case in TREES])
def test_the_shared_cases(case: dict[str, Any]) -> None:
    """The viewer's tests read the same."""
    trace = trace_of(*(span(one, start, end, parent) for one, parent, start, end in case["spans"]))
    depths = [sum(1 for _ in trace.above(number)) for number in range(len(trace.spans))]
    ids = [one.span_id for one in trace.spans]
    assert list(map(list, zip(ids, depths, strict=True))) == case["tree"]
    missing = {
        ids[one]: [trace.spans[one].start_ns, trace.spans[one].end_ns] for one in trace.missing
    }
    assert missing == case.get("missing", {})
    assert [ids[one] for one in trace.cycles] == case.get("cycles", [])


def test_processes_that_use_the_same_ids_have_trees_of_their_own() -> None:
    """The end of one does not end the other's span."""
    found = trees(
        meta("start", "a", 1), meta("end", "a", 2, at=5), meta("start", "a", 1, process="q")
    )
    assert [(one.process, one.spans[0].state) for one in found] == [
        ("p", "ended"),
        ("q", "running"),
    ]


def test_ends_show_that_processes_use_the_same_ids() -> None:
    """Also where no start is left: of different names, starts or parents."""
    for change in (
        {"event": "b.end"},
        {"start": "2026-11-20T16:00:01.000000Z"},
        {"parent_span_id": "c"},
    ):
        found = trees(meta("end", "a", 1, at=5), meta("end", "a", 1, process="q", at=6) | change)
        assert [one.process for one in found] == ["p", "q"]
    [one] = trees(meta("end", "a", 1, at=5), meta("end", "a", 1, process="q", at=6))
    assert one.process == ""


def test_an_end_by_another_process_ends_the_span() -> None:
    """A forked child or a recovery may end it, but did not open it."""
    [trace] = trees(meta("start", "a", 1), meta("end", "a", 9, process="q", at=5))
    assert shape(trace) == {"a": ("", "ended")}


def test_open_spans_have_the_state_that_was_observed() -> None:
    """What has an end keeps its state."""
    forest = Forest()
    for one in (meta("start", "a", 1), meta("end", "b", 3, parent="a")):
        forest.add(one)
    [trace] = forest.trees(Observed({("p", "t", "a"): "lost", ("p", "t", "b"): "running"}))
    assert shape(trace) == {"a": ("", "lost"), "b": ("a", "ended")}


def test_each_process_has_the_state_that_was_observed() -> None:
    """Also where several use the same ids."""
    forest = Forest()
    for process in "pq":
        forest.add(meta("start", "a", 1, process=process))
    found = forest.trees(Observed({("p", "t", "a"): "lost", ("q", "t", "a"): "stalled"}))
    assert {one.process: one.spans[0].state for one in found} == {"p": "lost", "q": "stalled"}


def test_what_has_ended_is_forgotten() -> None:
    """Also what processes that are gone have left open, but not what may go on."""
    forest = Forest()
    lost, running, ended = (
        meta("start", "a", 1) | {"trace_id": "lost"},
        meta("start", "a", 1) | {"trace_id": "running"},
        meta("end", "a", 1) | {"trace_id": "ended"},
    )
    kept = meta("end", "a", 1) | {"trace_id": "kept"}
    for one in (lost, running, ended, kept, lost | {"process": "q"}):
        forest.add(one)
    states: dict[tuple[str, str, str], State] = {(one, "lost", "a"): "lost" for one in "pq"}
    forest.forget({"kept"}, Observed(states))
    assert [tree.trace_id for tree in forest.trees()] == ["running", "kept"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_winner_is_that_of_the_merge_rule(path: Path) -> None:
    """By the cases that every implementation follows."""
    case: dict[str, Any] = json.loads(path.read_text("utf-8"))
    metas: list[dict[str, object]] = [one["__tracer_meta__"] for one in case["records"]]
    spans = {span.key: span for trace in trees(*metas) for span in trace.spans}
    for number in case["winners"]:
        winner = metas[int(number)]
        found = spans[str(winner["trace_id"]), str(winner["span_id"])]
        assert (found.seq, found.process) == (winner["seq"], winner["process"])


@st.composite
def records(draw: st.DrawFn) -> list[dict[str, object]]:
    """Draw records of some spans in up to two processes, with any parents."""
    names = [f"{number:x}" for number in range(draw(st.integers(1, 6)))]
    return [
        meta(
            draw(st.sampled_from(["start", "update", "end"])),
            draw(st.sampled_from(names)),
            seq,
            parent=draw(st.sampled_from(["", *names, "gone"])),
            process=draw(st.sampled_from("pq")),
            at=draw(st.integers(0, 59)),
        )
        for seq in range(draw(st.integers(1, 12)))
    ]


@given(records(), st.data())
def test_order_and_repeats_change_nothing(
    metas: list[dict[str, object]], data: st.DataObject
) -> None:
    """Each span is as its winning record shows it, and each is in exactly one tree once."""
    found = {one.process: one for one in trees(*metas)}
    again = data.draw(st.permutations([*metas, *data.draw(st.lists(st.sampled_from(metas)))]))
    assert {one.process: one for one in trees(*again)} == found
    for process, trace in found.items():
        own = [one for one in metas if process in {"", one["process"]}]
        for found_span in trace.spans:
            of_span = [one for one in own if one["span_id"] == found_span.span_id]
            if found_span.state == "missing":
                assert not of_span
            else:
                assert found_span.seq == max(of_span, key=rank_in)["seq"]
        assert sorted(number for root in trace.roots for number in trace.below(root)) == list(
            range(len(trace.spans))
        )
