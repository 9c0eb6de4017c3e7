"""Spans are read from files, ring buffers and damaged files as from whole ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_ext.analysis.analyzer import TraceAnalyzer
from otel_ext.analysis.json_forms import analysis_as_json, comparison_as_json
from otel_ext.analysis.traces.load import Loader, load
from otel_ext.journal.read import scanner
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process.records import process_start_record
from tests.cli.written import exported
from tests.exporters.samples import end, log, start

if TYPE_CHECKING:
    from pathlib import Path

ROOT = f"{1:016x}"


def test_a_folder_becomes_trees_with_their_records(tmp_path: Path) -> None:
    """Attributes are read again from where the record is."""
    below: dict[str, Any] = {"parent_span_id": ROOT, "attributes": {"order": 7}}
    exported(
        tmp_path, start("job"), start("step", 2, **below), log("stored"), end("step", 2, **below)
    )
    loaded = load([tmp_path])
    [tree] = loaded.forest.trees()
    assert [(one.name, one.state) for one in tree.spans] == [("job", "running"), ("step", "ended")]
    records = loaded.records_of(tree.spans)
    assert records[tree.spans[1].key] == end("step", 2, **below)._replace(
        process=records[tree.spans[1].key].process
    )
    assert records[tree.spans[1].key].attributes == {"order": 7}
    [file] = tmp_path.glob("*.jsonl")
    file.unlink()
    assert loaded.records_of(tree.spans) == {}


def test_the_own_start_of_a_process_counts(tmp_path: Path) -> None:
    """Not one that a receiver has made of the resource, whichever comes first."""
    first = start("job")
    own = process_start_record(Process(first.process.id, resource={"service.name": "own"}), 3)
    made = process_start_record(Process(first.process.id, resource={"service.name": "made"}), 0)
    file = tmp_path / "received.jsonl"
    for records, service in (
        ([made, own, made], "own"),
        ([own, made], "own"),
        ([made, made], "made"),
    ):
        file.write_bytes(b"".join(map(encode_line, [*records, first])))
        assert load([file]).services == {first.process.id: service}


def test_damage_hides_no_record(tmp_path: Path) -> None:
    """What is between damaged stretches counts, and their number is known."""
    exported(tmp_path, start("job"), end("job"))
    [file] = tmp_path.glob("*.jsonl")
    first, second, *rest = file.read_bytes().splitlines(keepends=True)
    torn = second[: len(second) // 2]
    file.write_bytes(
        b"garbage\n\0\0\0" + first + torn + second + b'[1]\n{"a":1}\n\n' + b"".join(rest)
    )
    loaded = load([file])
    [tree] = loaded.forest.trees()
    assert [one.state for one in tree.spans] == ["ended"]
    assert loaded.skipped >= 3
    assert loaded.records_of(tree.spans)[tree.spans[0].key].name == "job"


def test_only_the_wanted_trace_is_read(tmp_path: Path) -> None:
    """By the beginning of its id, in any case of letters."""
    other = "ab" * 16
    exported(tmp_path, start("one"), start("two", 2, trace_id=other))
    loaded = load([tmp_path], prefix="ABAB")
    assert [tree.spans[0].name for tree in loaded.forest.trees()] == ["two"]
    assert loaded.processes
    sizes: list[int] = []
    load([tmp_path], progress=sizes.append)
    assert sum(sizes) == sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))


FIELDS = [
    *("timestamp", "event", "kind", "phase", "trace_id", "span_id", "parent_span_id"),
    *("seq", "process", "start", "duration_ns", "status", "thread", "task", "events", "line"),
]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
ANY = (
    VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=9), VALUES, max_size=3)
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=6), max_size=8))
def test_no_line_stops_the_reading(tmp_path: Path, changes: list[dict[str, object]]) -> None:
    """Whatever the fields of records are, the others are read, and analyses have a result."""
    good = encode_line(end("good", 9, trace_id="e" * 32))
    metas = [json.loads(encode_line(end("job", 1)))["__tracer_meta__"] | one for one in changes]
    lines = [json.dumps({"__tracer_meta__": meta}).encode() + b"\n" for meta in metas]
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join([*lines, good, *lines]))
    loaded = load([path], with_logs=True)
    trees = list(loaded.forest.trees())
    assert "good" in {span.name for tree in trees for span in tree.spans}
    analyzer = TraceAnalyzer(trees, loaded.services)
    assert json.loads(analysis_as_json(analyzer))["traces"] == len(trees)
    assert json.loads(comparison_as_json(analyzer.compared_with(analyzer)))
    for tree in trees:
        assert loaded.records_of(tree.spans) is not None
        assert loaded.logs_of(tree.trace_id) is not None


def test_logs_are_those_of_a_process(tmp_path: Path) -> None:
    """Where several use the same trace id; of all by default."""
    own = {"trace_id": "a" * 32, "span_id": ROOT}
    logs = [log(f"of {one}", **own)._replace(process=Process(one)) for one in "pq"]
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join(map(encode_line, logs)))
    loaded = load([path], with_logs=True)
    assert [one.name for one in loaded.logs_of("a" * 32, "q")] == ["of q"]
    assert len(loaded.logs_of("a" * 32)) == 2


def test_records_without_a_trace_id_are_skipped(tmp_path: Path) -> None:
    """And counted, like other damage."""
    path = tmp_path / "records.jsonl"
    meta = json.loads(encode_line(start("job")))["__tracer_meta__"]
    del meta["trace_id"]
    path.write_text(json.dumps({"__tracer_meta__": meta}) + "\n", "utf-8")
    loaded = load([path])
    assert (loaded.skipped, list(loaded.forest.trees())) == (1, [])


def test_wrong_clocks_do_not_stop_an_analysis(tmp_path: Path) -> None:
    """A span from the year 1 to the year 9999 is longer than 64 bits of nanoseconds."""
    path = tmp_path / "records.jsonl"
    meta = json.loads(encode_line(end("job", 1)))["__tracer_meta__"]
    del meta["duration_ns"]
    meta |= {"start": "0001-01-01T00:00:00.000000Z", "timestamp": "9999-12-31T00:00:00.000000Z"}
    path.write_text(json.dumps({"__tracer_meta__": meta}) + "\n", "utf-8")
    analyzer = TraceAnalyzer.of_files(path)
    assert json.loads(analysis_as_json(analyzer))["spans"] == 1
    assert json.loads(comparison_as_json(analyzer.compared_with(analyzer)))["traces_after"] == 1


@pytest.mark.parametrize("size", [64, 700, 1 << 18])
def test_parts_of_files_without_the_wanted_trace_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """However the file is cut into parts; what is added later is read from there on."""
    monkeypatch.setattr(scanner, "_BLOCK", size)
    path = tmp_path / "records.jsonl"
    lines = [encode_line(end(f"job {n}", n, trace_id=f"{n:032x}")) for n in range(1, 30)]
    path.write_bytes(b"".join(lines) + lines[0][:40])
    loader = Loader([path], prefix=f"{7:032x}")
    [tree] = loader.read().forest.trees()
    assert tree.spans[0].name == "job 7"
    assert loader.loaded.records_of(tree.spans)[tree.spans[0].key].name == "job 7"
    late = encode_line(end("late", 99, trace_id=f"{7:032x}"))
    path.write_bytes(b"".join([*lines, late]))
    [tree] = loader.read().forest.trees()
    assert {span.name for span in tree.spans} == {"job 7", "late"}
