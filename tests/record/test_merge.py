"""The merge rule: the cases for every language, and the laws behind them."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.record.decode import decode_line
from otel_ext.record.merge import Merger
from otel_ext.record.model import Process, Record
from tests.merging import merge

CASES = sorted((Path(__file__).parents[1] / "cases" / "merge").glob("*.json"))
PROCESSES = [Process("a"), Process("b"), Process("c.2")]


def _load(path: Path) -> tuple[list[Record], list[Record]]:
    """Return the records of a case and those among them that must win."""
    case = cast("dict[str, Any]", json.loads(path.read_bytes()))
    records = [decode_line(json.dumps(document)) for document in case["records"]]
    return records, [records[index] for index in case["winners"]]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case(path: Path) -> None:
    """The expected records win, in any order of all records."""
    records, winners = _load(path)
    expected = {winner.key: winner for winner in winners}
    assert len(expected) == len(winners)
    for order in list(permutations(records))[:720]:
        assert merge(order) == expected


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_has_a_text(path: Path) -> None:
    """Each case has a text, and only valid records."""
    case = cast("dict[str, Any]", json.loads(path.read_bytes()))
    assert case.keys() == {"about", "records", "winners"}
    assert case["about"].endswith(".")


def test_there_are_cases() -> None:
    """A moved folder must not look like a good run."""
    assert len(CASES) >= 10


@st.composite
def streams(draw: st.DrawFn) -> list[Record]:
    """Draw records of a few spans, as several processes might write them, with copies."""
    records: list[Record] = []
    for process in PROCESSES:
        for seq in range(draw(st.integers(0, 6))):
            phase = draw(st.sampled_from(["start", "update", "end"]))
            kind = draw(st.sampled_from(["span", "span", "span", "log"]))
            records.append(
                Record(
                    kind=cast("Any", kind),
                    phase=cast("Any", phase) if kind == "span" else None,
                    name=f"{process.id}{seq}",
                    time_ns=draw(st.integers(0, 5)) * 700,
                    seq=seq,
                    process=process,
                    trace_id="t",
                    span_id=draw(st.sampled_from(["1", "2"])),
                    abandoned=draw(st.sampled_from([None, "shutdown"])) if phase == "end" else None,
                )
            )
    copies = draw(st.lists(st.sampled_from(records), max_size=4)) if records else []
    return records + copies


@given(streams(), st.data())
def test_order_does_not_matter(records: list[Record], data: st.DataObject) -> None:
    """Any permutation of the records gives the same result."""
    shuffled = data.draw(st.permutations(records))
    assert merge(shuffled) == merge(records)


@given(streams())
def test_repetition_changes_nothing(records: list[Record]) -> None:
    """Adding all records again, or the result itself, changes nothing."""
    merger = Merger()
    for record in records:
        merger.add(record)
    result = dict(merger.spans)
    assert not any(map(merger.add, [*records, *result.values()]))
    assert merge(result.values()) == result == merger.spans


@given(streams(), streams(), streams())
def test_parts_can_be_merged_on_their_own(
    first: list[Record], second: list[Record], third: list[Record]
) -> None:
    """Merging results equals merging the records, so files can be read separately."""
    left = merge([*merge([*first, *second]).values(), *third])
    right = merge([*first, *merge([*second, *third]).values()])
    assert left == right == merge([*first, *second, *third])


@given(streams())
def test_the_best_standing_wins(records: list[Record]) -> None:
    """A real end beats an abandoned end beats an update beats a start, whoever wrote them."""
    standing = {"start": 0, "update": 1, "end": 2}

    def stands(record: Record) -> int:
        return standing[str(record.phase)] + (record.phase == "end" and record.abandoned is None)

    for key, winner in merge(records).items():
        rivals = [record for record in records if record.kind == "span" and record.key == key]
        assert stands(winner) == max(map(stands, rivals))


def test_add_returns_whether_something_changed() -> None:
    """A view can redraw only if `add` returns True."""
    start = Record("span", "start", "job", 1_000, 1, PROCESSES[0], trace_id="t", span_id="1")
    update = start._replace(phase="update", seq=5)
    merger = Merger()
    assert merger.add(start)
    assert merger.add(update)
    assert not merger.add(update._replace(seq=4))
    assert not merger.add(start)
    assert not merger.add(start._replace(kind="log", phase=None))
    assert len(merger) == 1


def test_a_merger_holds_one_record_a_span() -> None:
    """Memory is bounded by the number of spans."""
    start = Record("span", "start", "job", 1_000, 1, PROCESSES[0], trace_id="t", span_id="1")
    merger = Merger()
    assert all(merger.add(start._replace(phase="update", seq=seq)) for seq in range(1_000))
    assert len(merger) == 1


def test_nanoseconds_do_not_decide() -> None:
    """Files have microseconds; records merge alike before writing and after reading."""
    end = Record(
        "span", "end", "job", 5_000_999, 1, PROCESSES[0], trace_id="t", span_id="1", start_ns=1
    )
    other = end._replace(time_ns=5_000_001, seq=2)
    assert merge([end, other])[end.key] is other
