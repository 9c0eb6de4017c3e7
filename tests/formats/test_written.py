"""Traces in the formats of other tools."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.times import times_of
from otel_ext.formats.read.convert import Problem, convert
from otel_ext.formats.write.chrome import to_chrome
from otel_ext.formats.write.csv_table import to_csv
from otel_ext.formats.write.otlp_json import to_otlp_json
from otel_ext.formats.write.speedscope import to_speedscope
from otel_ext.formats.write.written import TraceToWrite
from otel_ext.observe.process_names import ProcessName
from otel_ext.record.codec import encode_line
from otel_ext.record.model import TaskInfo, ThreadInfo
from otel_ext.record.schema.validation import validate_line
from tests.analysis.traces import span, trace_of, traces
from tests.cli.written import exported
from tests.exporters.samples import end, start
from tests.formats.test_bad_parts import converted, good, otlp

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.analysis.traces.tree import TraceTree

ROOT = f"{1:016x}"


def to_write(tree: TraceTree) -> TraceToWrite:
    """Return a trace without whole records."""
    return TraceToWrite(tree, times_of(tree), {}, {"p": ProcessName(7, "shop", "app.py")})


@pytest.fixture
def shop(tmp_path: Path) -> TraceToWrite:
    """Return a trace of a running and an ended span, in a thread and in a task."""
    fields: dict[str, Any] = {"parent_span_id": ROOT, "task": TaskInfo(9, "Task-9")}
    hostile = {"=cmd": "@SUM(A1)", "text": '</script>\0 "quoted"\r\n', "large": 2**70}
    exported(
        tmp_path,
        start("=HYPERLINK(1)", thread=ThreadInfo(1, "MainThread")),
        end("step", 2, attributes=hostile, **fields),
    )
    loaded = load([tmp_path])
    [tree] = loaded.forest.trees()
    records = loaded.records_of(tree.spans)
    return TraceToWrite(tree, times_of(tree), records, loaded.processes)


def test_chrome_has_a_track_for_each_thread_and_task(shop: TraceToWrite) -> None:
    """And names for them; an open span begins and does not end."""
    events = json.loads(b"".join(to_chrome([shop])))["traceEvents"]
    names = [one["args"]["name"] for one in events if one["name"] == "thread_name"]
    assert names == ["MainThread", "Task-9"]
    spans = [one for one in events if one["ph"] != "M"]
    assert [(one["name"], one["ph"], one.get("dur")) for one in spans] == [
        ("=HYPERLINK(1)", "B", None),
        ("step", "X", 12_345.678),
    ]
    assert spans[0]["pid"] == spans[1]["pid"]
    assert spans[0]["tid"] != spans[1]["tid"]
    assert spans[1]["args"]["otel_ext.state"] == "ended"
    assert json.loads(b"".join(to_chrome([]))) == {"displayTimeUnit": "ms", "traceEvents": []}


def test_chrome_draws_no_two_spans_across_each_other() -> None:
    """Parallel spans of one thread have tracks beside it; a viewer would leave them out."""
    spans = [span("r", 0, 100), span("a", 10, 60, "r"), span("b", 40, 90, "r")]
    other = [span("x", 50, 150), span("open", 55, None, "x")]
    events = json.loads(
        b"".join(to_chrome([to_write(trace_of(*spans)), to_write(trace_of(*other))]))
    )["traceEvents"]
    names = [one["args"]["name"] for one in events if one["name"] == "thread_name"]
    assert names == ["1", "1 (2)", "1 (3)", "1 (4)"]
    tracks = {one["name"]: one["tid"] for one in events if one["ph"] != "M"}
    # A viewer draws an open span to the end of the trace, which is after that of its parent.
    assert tracks == {"r": 1, "a": 1, "b": 2, "x": 3, "open": 4}


@given(traces(), st.integers(0, 10**18), st.integers(1, 10**9))
def test_times_of_chrome_are_exact(tree: TraceTree, base: int, factor: int) -> None:
    """To the nanosecond, for readers that round and for those that cut."""
    spans = [
        one._replace(
            start_ns=base + one.start_ns * factor,
            end_ns=None if one.end_ns is None else base + one.end_ns * factor,
        )
        for one in tree.spans
        if one.state != "missing"
    ]
    document = json.loads(b"".join(to_chrome([to_write(trace_of(*spans))])))
    first = int(document["otherData"]["start_ns"])
    events = {one["name"]: one for one in document["traceEvents"] if one["ph"] != "M"}
    for one in spans:
        event = events[one.name]
        for convert_number in (round, int):
            assert first + convert_number(event["ts"] * 1000) == one.start_ns
            if one.end_ns is not None:
                assert convert_number(event["dur"] * 1000) == one.end_ns - one.start_ns
        assert (event["ph"] == "B") == (one.end_ns is None)


def test_speedscope_marks_open_spans() -> None:
    """They have an end there, the last time that is known."""
    trace = to_write(trace_of(span("r", 0, None), span("a", 10, 60, "r")))
    document = json.loads(to_speedscope([trace], "test"))
    assert [frame["name"] for frame in document["shared"]["frames"]] == ["r (open)", "a"]
    assert document["profiles"][0]["endValue"] == 60


def test_speedscope_names_process_thread_and_lane(tmp_path: Path) -> None:
    """As the tracks of Chrome's format; else the profiles of threads look the same."""
    at: dict[str, Any] = {"parent_span_id": ROOT}
    exported(
        tmp_path,
        end("r", 1, thread=ThreadInfo(1, "MainThread")),
        end("a", 2, thread=ThreadInfo(2, "worker-1"), **at),
        end("b", 3, thread=ThreadInfo(3, "worker-2"), **at),
        end("c", 4, task=TaskInfo(9, "Task-9"), thread=ThreadInfo(1, "MainThread"), **at),
    )
    loaded = load([tmp_path])
    [tree] = loaded.forest.trees()
    records = loaded.records_of(tree.spans)
    trace = TraceToWrite(tree, times_of(tree), records, {})
    names = [one["name"] for one in json.loads(to_speedscope([trace], "test"))["profiles"]]
    process = tree.spans[0].process
    tracks = ["MainThread", "worker-1", "worker-2", "Task-9"]
    assert names == [f"{process} {one}" for one in tracks]
    other = to_write(trace_of(span("r", 0, 9), span("a", 1, 6, "r"), span("b", 4, 8, "r")))
    document = json.loads(to_speedscope([other], "test"))
    assert [one["name"] for one in document["profiles"]] == ["7 shop 1", "7 shop 1 (2)"]


@given(traces())
def test_speedscope_has_every_span_in_a_stack(tree: TraceTree) -> None:
    """Each profile opens and closes frames as a stack does, in order of time."""
    found = json.loads(to_speedscope([to_write(tree)], "test"))
    opened = 0
    for profile in found["profiles"]:
        stack: list[int] = []
        at = 0
        for event in profile["events"]:
            assert event["at"] >= at
            at = event["at"]
            if event["type"] == "O":
                opened += 1
                stack.append(event["frame"])
            else:
                assert stack.pop() == event["frame"]
        assert not stack
        assert profile["endValue"] >= at
    assert opened == sum(span.state != "missing" for span in tree.spans)
    assert (
        len({frame["name"].removesuffix(" (open)") for frame in found["shared"]["frames"]})
        == opened
    )


def test_no_cell_of_a_table_is_a_formula(shop: TraceToWrite) -> None:
    """Every value is there, and a spreadsheet calculates none."""
    text = b"".join(to_csv([shop])).decode()
    head, *rows = csv.reader(io.StringIO(text))
    assert [dict(zip(head, row, strict=True))["name"] for row in rows] == [
        "'=HYPERLINK(1)",
        "step",
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert json.loads(rows[1][-1])["=cmd"] == "@SUM(A1)"
    assert rows[0][head.index("duration_ns")] == ""


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\0=1+1", "\0\0+1", " =1", "\u00a0=1"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "\ufeff=1", "\u200b=1", "\u2060\uff1d1"),
        *("\x0b=1", "\x1f=1", "\u202e=1", "\ufe66=1", "\ufe0f=1", "\tx"),
    ],
)
def test_formulas_are_found_behind_what_is_not_seen(cell: str) -> None:
    """In any width, after spaces, controls and marks without a width."""
    trace = to_write(trace_of(span("1", 0, 9)._replace(name=cell)))
    text = b"".join(to_csv([trace])).decode()
    head, row = csv.reader(io.StringIO(text, newline=""))
    assert row[head.index("name")] == "'" + cell.replace("\0", "")
    assert "\0" not in text


@pytest.mark.parametrize("cell", ["a;=1+1", "a=1", "", "é", "'=1", 'a",=1', "(1)", "\U0001f600"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    """In quotes, so that a semicolon ends none."""
    trace = to_write(trace_of(span("1", 0, 9)._replace(name=cell)))
    text = b"".join(to_csv([trace])).decode()
    head, row = csv.reader(io.StringIO(text, newline=""))
    assert row[head.index("name")] == cell
    assert all(line.startswith('"') and line.endswith('"') for line in text.splitlines())


def test_an_abandoned_span_comes_back_from_otlp(tmp_path: Path) -> None:
    """By the attribute with the cause, since its end is not the span's own."""
    fields: dict[str, Any] = {"attributes": {"n": 1}, "abandoned": "process-died"}
    exported(tmp_path, end("lost", 1, **fields), end("kept", 2))
    loaded = load([tmp_path])
    [tree] = loaded.forest.trees()
    records = loaded.records_of(tree.spans)
    lines = list(to_otlp_json([TraceToWrite(tree, times_of(tree), records, loaded.processes)]))
    assert b'{"key":"otel_ext.abandoned","value":{"stringValue":"process-died"}}' in lines[0]
    found = [one for one in convert(lines) if not isinstance(one, Problem) and one.kind == "span"]
    assert {one.name: (one.abandoned, dict(one.attributes)) for one in found} == {
        "lost": ("process-died", {"n": 1}),
        "kept": (None, {}),
    }
    assert not [reason for one in found for reason in validate_line(encode_line(one))]


def test_other_values_of_that_attribute_are_the_users() -> None:
    """And a span without an end is open."""
    cause = {"key": "otel_ext.abandoned", "value": {"stringValue": "process-died"}}
    other = {"key": "otel_ext.abandoned", "value": {"arrayValue": {"values": [cause["value"]]}}}
    times = {"startTimeUnixNano": "1", "endTimeUnixNano": "5"}
    records, problems = converted(
        otlp(
            {**good(1), **times, "attributes": [other]},
            {**good(2), **times, "endTimeUnixNano": "0", "attributes": [cause]},
        )
    )
    assert not problems
    assert [(one.phase, one.abandoned) for one in records] == [("end", None), ("start", None)]
    assert [set(one.attributes) for one in records] == [{"otel_ext.abandoned"}] * 2


def test_otlp_is_what_the_importer_reads(shop: TraceToWrite) -> None:
    """With the resource of the process, and open spans without an end."""
    lines = list(to_otlp_json([shop]))
    found = [one for one in convert(lines) if not isinstance(one, Problem)]
    assert [(one.name, one.phase) for one in found if one.kind == "span"] == [
        ("=HYPERLINK(1)", "start"),
        ("step", "end"),
    ]
    assert found[2].attributes["=cmd"] == "@SUM(A1)"
    own = next(iter(shop.records.values())).process.resource
    assert found[0].process.resource.keys() >= own.keys()
