"""`otel-ext ps`: wrong use, hostile names, damaged and missing files, other machines."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.main import main
from otel_ext.cli.span_table import span_lines
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.observe.snapshot import Collector
from otel_ext.record.codec import encode_line
from otel_ext.record.model import CallSite, Process, Record
from otel_ext.runtime.process.records import process_end_record, process_start_record
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.text import cells

if TYPE_CHECKING:
    from pathlib import Path

# A process of an earlier boot of this machine, so it is certainly dead.
DEAD = Process("00000000-7-5-00000000", 7, 5, "00000000-0000", socket.gethostname(), ("app.py",))
# A process of another machine, about which nothing is known.
FAR = Process("11111111-8-5-00000000", 8, 5, "11111111-1111", "far-away.example", ("far.py",))
EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\nevil"


def span(
    name: str, number: int = 1, process: Process = DEAD, parent: str = "", phase: str = "start"
) -> Record:
    """Return a start record, or one of another phase."""
    now = time.time_ns()
    record = Record("span", "start", name, now - 10**9, number, process, CallSite("a.py", 3, "f"))
    record = record._replace(trace_id="a" * 32, span_id=f"{number:016x}", parent_span_id=parent)
    if phase == "end":
        return record._replace(phase="end", start_ns=record.time_ns, time_ns=now)
    return record


def write(folder: Path, process: Process, *records: Record, raw: bytes = b"") -> Path:
    """Write a process's file and return its path."""
    lines = [encode_line(process_start_record(process, 1)), *map(encode_line, records), raw]
    path = folder / f"{process.id}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("words", [["ps"], ["ps", "--json"], ["top", "--once"], ["dump"]])
def test_hostile_names_cannot_reach_the_terminal(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences, direction marks and line breaks in data are printed as escapes."""
    evil = Process(DEAD.id, 7, 5, "00000000-0000", DEAD.host, (EVIL,))
    record = span(EVIL)._replace(
        call_site=CallSite(EVIL, 3, EVIL), attributes={EVIL: EVIL}, process=evil
    )
    write(tmp_path, evil, record)
    assert main([*words[:1], str(tmp_path), *words[1:]]) == 0
    out = capsys.readouterr().out
    assert "evil" in out
    assert all(char.isprintable() or char == "\n" for char in out), ascii(out)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing"], "missing: there is no such folder"),
        (["\x1b[31m"], r"\x1b[31m: there is no such folder"),
        (["--process", "x"], "'x' is not a valid process id; use 1 or more"),
        (["--older", "soon"], "'soon' is not a valid number of seconds; use 0 or more"),
        (["--older", "-1"], "'-1' is not a valid number of seconds"),
        (["--older", "nan"], "'nan' is not a valid number of seconds"),
        (["--frobnicate"], "there is no option '--frobnicate'"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder or option is named in one line, with exit code 2 and no traceback."""
    assert main(["ps", *words]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)


def test_damage_hides_no_intact_span(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Garbage, NUL runs and torn lines in a file hide no span before or after them."""
    torn = encode_line(span("torn", 5))[:90]
    raw = b"\x00" * 5000 + b"garbage\n" + torn + encode_line(span("behind", 6)) + torn
    write(tmp_path, DEAD, span("before", 2), raw=raw)
    assert main(["ps", "--json", str(tmp_path)]) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(names) == ["before", "behind"]


def test_a_damaged_ring_buffer_is_read_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ring buffer whose header is gone still shows the spans in it."""
    rings = tmp_path / RING_FOLDER
    rings.mkdir()
    body = encode_line(span("in the ring buffer", 2)) + b"\0" * 8192
    (rings / f"{DEAD.id}.ring").write_bytes(os.urandom(4096) + body)
    (rings / "empty.ring").touch()
    assert main(["ps", str(tmp_path)]) == 0
    assert "in the ring buffer" in capsys.readouterr().out


def test_old_segments_and_closed_files_are_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the newest segment is read, and none of a process that ended in order."""
    first = write(tmp_path, DEAD, span("in an old segment", 2))
    long_ago = time.time() - 60
    os.utime(first, (long_ago, long_ago))
    newest = [process_start_record(DEAD, 3), span("in the newest", 4), span("x", 5, phase="end")]
    first.with_name(f"{DEAD.id}.1.jsonl").write_bytes(b"".join(map(encode_line, newest)))
    write(tmp_path, FAR, span("closed", 4, FAR), process_end_record(FAR, 9))
    assert main(["ps", "--other-hosts", "--json", str(tmp_path)]) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["in the newest"]


def test_the_segment_before_counts_until_the_newest_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a process was killed while it changed files, its spans are found in the old file."""
    ended = span("ended", 3, phase="end")
    first = write(tmp_path, DEAD, span("open", 2), span("ended", 3), ended, span("repeated", 4))
    # The old file may be old: a quiet program changes files by their age.
    os.utime(first, (1, 1))
    again = [process_start_record(DEAD, 5), span("repeated", 4)]
    first.with_name(f"{DEAD.id}.1.jsonl").write_bytes(b"".join(map(encode_line, again)))
    assert main(["ps", "--json", str(tmp_path)]) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(names) == ["open", "repeated"]


def test_spans_of_other_machines_only_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shared folder holds spans of other machines too; --other-hosts shows them."""
    write(tmp_path, FAR, span("far", 2, FAR))
    assert main(["ps", str(tmp_path)]) == 1
    capsys.readouterr()
    assert main(["ps", "--other-hosts", str(tmp_path)]) == 0
    assert "far.py" in capsys.readouterr().out


def test_a_single_file_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A single file of records is read, whatever its name is."""
    path = write(tmp_path, DEAD, span("open", 2), span("done", 3), span("done", 3, phase="end"))
    path = path.rename(tmp_path / "trace.jsonl")
    assert main(["ps", "--json", str(path)]) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["open"]


def test_parents_in_a_circle_end_a_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spans that are each other's parents are shown once each."""
    one, two = span("one", 2, parent=f"{3:016x}"), span("two", 3, parent=f"{2:016x}")
    write(tmp_path, DEAD, one, two, span("self", 4, parent=f"{4:016x}"))
    assert main(["ps", "--tree", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert [out.count(name) for name in ("one", "two", "self")] == [1, 1, 1]


def test_a_deep_tree_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A chain of a thousand spans is drawn without recursion, its indent bounded."""
    chain = [span(f"s{n}", n, parent=f"{n - 1:016x}") for n in range(2, 1002)]
    write(tmp_path, DEAD, *chain)
    assert main(["ps", "--tree", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1001
    assert max(map(len, lines)) < 200


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_lines_fit_the_terminal(width: int, tmp_path: Path) -> None:
    """No line is wider than the terminal; the ends of long locations stay readable."""
    call_site = CallSite(
        "/very/long/path/to/the/package/with/many/folders/jobs.py", 1234, "Batch.run"
    )
    named = span("日本語の長い名前" * 6, 2)._replace(call_site=call_site)
    write(tmp_path, DEAD, named, span("short", 3))
    snapshot = Collector([tmp_path]).collect()
    lines = list(span_lines(snapshot.spans, snapshot.time_ns, Canvas(width)))
    assert len(lines) == 3
    if width >= 60:
        assert max(map(cells, lines)) <= width
        assert lines[1].endswith("Batch.run")
    assert "a.py:3 f" in lines[2] or width < 80


@pytest.mark.parametrize(
    "words",
    [["ps"], ["tree"], ["tail", "--no-follow"], ["top", "--once"], ["dump"]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("kind", ["device", "named pipe", "pipe"])
def test_a_device_or_pipe_is_refused(
    words: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot seek is not a "folder without spans": it is named, exit code 2."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader, writer = os.pipe()
    name = {"device": "/dev/zero", "named pipe": str(fifo), "pipe": f"/dev/fd/{reader}"}[kind]
    try:
        assert main([*words, name]) == 2
    finally:
        os.close(reader)
        os.close(writer)
    captured = capsys.readouterr()
    assert captured.err.startswith(f"otel-ext: {name}: a device or pipe, not a file of records. ")
    assert captured.out == ""


def test_attributes_use_the_columns_that_are_left(tmp_path: Path) -> None:
    """The user's own come first; they are cut at the width, or left out if there is no room."""
    attributes = {"http.method": "GET", "customer": 7, "note": "a text longer than the line"}
    write(tmp_path, DEAD, span("order")._replace(attributes=attributes), span("pay", 2))
    snapshot = Collector([tmp_path]).collect()

    def lines(width: int) -> list[str]:
        return list(span_lines(snapshot.spans, snapshot.time_ns, Canvas(width)))

    header, order, pay = lines(0)
    assert header.endswith("  WHERE            ATTRIBUTES")
    assert order.endswith('  customer=7 note="a text longer than the line" http.method=GET')
    assert pay.endswith("  opened a.py:3 f")
    assert lines(80)[1].endswith('  customer=7 note="a text longer tha…')
    assert max(map(cells, lines(80))) <= 80
    assert all("ATTRIBUTES" not in line and "customer" not in line for line in lines(50))


def test_eighty_columns_have_room_for_attributes(tmp_path: Path) -> None:
    """80 columns show which order hangs, beside names and locations of usual length."""
    call_site = CallSite("/srv/shop/orders/nightly.py", 123, "Orders.charge_all")
    one = span("charge the card", 2)._replace(
        call_site=call_site, attributes={"order.id": "o-4711"}
    )
    write(tmp_path, DEAD, one)
    snapshot = Collector([tmp_path]).collect()
    header, line = span_lines(snapshot.spans, snapshot.time_ns, Canvas(80))
    assert header.endswith("  ATTRIBUTES")
    assert line.endswith("  order.id=o-4711")
    assert "charge the" in line
    assert "charge_all" in line
    assert cells(line) <= 80


def test_a_narrow_terminal_shows_the_pid_of_a_single_process(tmp_path: Path) -> None:
    """With a hundred columns, or in a pipe, the name of the program is shown."""
    write(tmp_path, DEAD, span("order", 2))
    snapshot = Collector([tmp_path]).collect()

    def header(width: int) -> list[str]:
        return next(span_lines(snapshot.spans, snapshot.time_ns, Canvas(width))).split()

    assert header(80)[3] == "PID"
    assert header(100)[3] == header(0)[3] == "PROCESS"
