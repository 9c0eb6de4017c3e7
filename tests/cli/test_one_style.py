"""All commands use the same order, time zone and duration format, and the same JSON keys."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record
from otel_ext.record.timestamps import parse_timestamp
from otel_ext.runtime.process.records import process_start_record
from tests.cli.watched import ENDING
from tests.cli.written import DEAD, span, write
from tests.commands import call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["ps", "top", "dump", "tree", "recover"])
def test_json_holds_attributes_status_and_process(name: str, tmp_path: Path) -> None:
    """The JSON of every command that shows spans contains the same facts."""
    open_span = span("pay", 2)._replace(attributes={"käse": 1})
    write(tmp_path / "traces", DEAD, open_span)
    document = call(name, *ENDING.get(name, []), "--json", tmp_path / "traces").document
    if name == "recover":
        (one,) = document["recovered"]
        (found,) = one["ended"]
        assert one["pid"] == DEAD.pid
    else:
        if name == "tree":
            (document,) = document["traces"]
        (found,) = document.get("spans", [document])
        assert found["process"]["pid"] == DEAD.pid
        assert {"id", "pid", "service", "command"} <= set(found["process"])
    assert found["attributes"] == {"käse": 1}
    assert found["status"] is None


def left_open(folder: Path, number: int, name: str, opened: float, seen: float) -> None:
    """Write a span in its own process, opened and last seen so many seconds ago."""
    now = time.time()
    process = Process(
        f"00000000-{number}-5-00000000", number, 5, "00000000-0000", DEAD.host, ("app.py",)
    )
    at = int((now - opened) * 1e9)
    record = span(name, number, process)._replace(time_ns=at, trace_id=f"{number:032x}")
    first = process_start_record(process, 1)._replace(time_ns=at)
    path = folder / f"{process.id}.jsonl"
    last = Record("event", None, "seen", int((now - seen) * 1e9), number + 1, process)
    path.write_bytes(b"".join(map(encode_line, (first, record, last))))
    os.utime(path, (now - seen, now - seen))


@pytest.mark.parametrize("name", ["ps", "top", "dump", "tree", "tail", "recover"])
def test_the_oldest_comes_first(name: str, tmp_path: Path) -> None:
    """Spans are sorted by their start in every view, not by when they were last seen."""
    left_open(tmp_path, 9, "older", 200.0, 190.0)
    left_open(tmp_path, 8, "younger", 100.0, 10.0)
    tmp_path.chmod(0o700)
    code, output, _ = call(name, *ENDING.get(name, []), tmp_path)
    assert 0 <= output.index("older") < output.index("younger")
    # Durations have one format too.
    assert name == "tail" or ("10.0 s" in output and "1 min 30 s" in output)
    assert code == 0


def test_a_span_of_which_only_an_update_is_left_has_its_age(tmp_path: Path) -> None:
    """`ps` and `tree` show the same start for a span whose first file is gone."""
    update = span("long", 2, phase="update")._replace(extra={"age_ns": 90 * 10**9})
    write(tmp_path, DEAD, update)
    open_span = call("ps", "--json", tmp_path).document
    (trace,) = call("tree", "--json", tmp_path).document["traces"]
    assert open_span["started"] == trace["spans"][0]["start"]
    assert open_span["age_seconds"] >= 90


def test_one_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are local in every view, and UTC in JSON."""
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    try:
        opened = "2026-11-20T16:32:47.429000Z"
        record = span("pay", 2)._replace(time_ns=parse_timestamp(opened))
        write(tmp_path, DEAD, record)
        assert "2026-11-20 22:02:47.429 +0530" in call("tree", tmp_path).out
        assert "22:02:47.429 " in call("tail", "--no-follow", tmp_path).out
        before = time.strftime("%H")
        shown = re.search(r"top (\d\d):\d\d:\d\d\.\d{3}  ", call("top", "--once", tmp_path).out)
        assert shown is not None
        assert shown[1] in {before, time.strftime("%H")}
        assert '"start":"2026-11-20T16:32:47' in call("tree", "--json", tmp_path).out
        assert '"started":"2026-11-20T16:32:47' in call("ps", "--json", tmp_path).out
    finally:
        monkeypatch.undo()
        time.tzset()
