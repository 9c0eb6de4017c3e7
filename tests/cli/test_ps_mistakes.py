"""`otel-ext ps`: wrong use, hostile names, damaged and missing files, other machines."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.span_table import span_lines
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_line
from otel_ext.record.model import CallSite, Process
from otel_ext.runtime.process.records import process_end_record, process_start_record
from otel_ext.terminal.canvas import Canvas
from otel_ext.terminal.text import cells
from tests.cli.written import DEAD, FAR, span, write
from tests.commands import call

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\nevil"


def shown(*words: str | Path) -> list[str]:
    """Return the sorted names of the spans that `ps --json` shows."""
    done = call("ps", "--json", *words)
    assert done.code == 0
    return sorted(span["name"] for span in done.documents)


def table(folder: Path, width: int) -> list[str]:
    """Return the lines of the table of the spans in a folder."""
    snapshot = SnapshotReader([folder]).read()
    return list(span_lines(snapshot.spans, snapshot.time_ns, Canvas(width)))


@pytest.mark.parametrize("words", [["ps"], ["ps", "--json"], ["top", "--once"], ["dump"]])
def test_hostile_names_cannot_reach_the_terminal(words: list[str], tmp_path: Path) -> None:
    """Escape sequences, direction marks and line breaks in data are printed as escapes."""
    evil = Process(DEAD.id, 7, 5, "00000000-0000", DEAD.host, (EVIL,))
    record = span(EVIL)._replace(
        call_site=CallSite(EVIL, 3, EVIL), attributes={EVIL: EVIL}, process=evil
    )
    write(tmp_path, evil, record)
    code, out, _ = call(*words, tmp_path)
    assert code == 0
    assert "evil" in out
    assert all(char.isprintable() or char == "\n" for char in out), ascii(out)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ps", "\x1b[31m"], r"\x1b[31m: there is no such folder"),
        (["ps", "--process", "x"], "'x' is not a valid process id; use 1 or more"),
        (["ps", "--older", "soon"], "'soon' is not a valid number of seconds; use 0 or more"),
        (["ps", "--older", "-1"], "'-1' is not a valid number of seconds"),
        (["ps", "--older", "nan"], "'nan' is not a valid number of seconds"),
        (["ps", "--frobnicate"], "there is no option '--frobnicate'"),
        (["top", "--iterations", "0"], "'0' is not a whole number; use 1 or more"),
        (["top", "--interval", "0"], "'0' is not a valid number of seconds; use 0.1 to 3600"),
        (["top", "--sort", "size"], "invalid choice"),
        (["tree", "--depth", "x"], "'x' is not a whole number"),
        (["tree", "--no-such"], "there is no option"),
        (["tail", "--lines", "-3"], "'-3' is not a whole number; use 0 or more"),
        *((["recover", "--grace", x, "."], f"{x}' is") for x in ("-1", "soon", "nan", "1e99")),
        *((["validate", f"--max-errors={x}"], f"{x}' is") for x in ("-1", "many", "1.5", "٣")),
    ],
)
def test_mistakes_are_one_line(words: list[str], expected: str) -> None:
    """A wrong folder or option is named in one line, with exit code 2 and no traceback."""
    done = call(*words)
    assert expected in done.err
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


def test_damage_hides_no_intact_span(tmp_path: Path) -> None:
    """Garbage, NUL runs and torn lines in a file hide no span before or after them."""
    torn = encode_line(span("torn", 5))[:90]
    raw = b"\x00" * 5000 + b"garbage\n" + torn + encode_line(span("behind", 6)) + torn
    write(tmp_path, DEAD, span("before", 2), raw=raw)
    assert shown(tmp_path) == ["before", "behind"]


def test_a_damaged_ring_buffer_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A ring buffer whose header is gone still shows the spans in it."""
    rings = tmp_path / RING_FOLDER
    rings.mkdir()
    body = encode_line(span("in the ring buffer", 2)) + b"\0" * 8192
    (rings / f"{DEAD.id}.ring").write_bytes(os.urandom(4096) + body)
    (rings / "empty.ring").touch()
    assert shown(tmp_path) == ["in the ring buffer"]


def test_old_segments_and_closed_files_are_not_read(tmp_path: Path) -> None:
    """Only the newest segment is read, and none of a process that ended in order."""
    first = write(tmp_path, DEAD, span("in an old segment", 2))
    long_ago = time.time() - 60
    os.utime(first, (long_ago, long_ago))
    newest = [process_start_record(DEAD, 3), span("in the newest", 4), span("x", 5, phase="end")]
    first.with_name(f"{DEAD.id}.1.jsonl").write_bytes(b"".join(map(encode_line, newest)))
    write(tmp_path, FAR, span("closed", 4, FAR), process_end_record(FAR, 9))
    assert shown("--other-hosts", tmp_path) == ["in the newest"]


def test_the_segment_before_counts_until_the_newest_is_complete(tmp_path: Path) -> None:
    """If a process was killed while it changed files, its spans are found in the old file."""
    ended = span("ended", 3, phase="end")
    first = write(tmp_path, DEAD, span("open", 2), span("ended", 3), ended, span("repeated", 4))
    # The old file may be old: a quiet program changes files by their age.
    os.utime(first, (1, 1))
    again = [process_start_record(DEAD, 5), span("repeated", 4)]
    first.with_name(f"{DEAD.id}.1.jsonl").write_bytes(b"".join(map(encode_line, again)))
    assert shown(tmp_path) == ["open", "repeated"]


def test_spans_of_other_machines_only_if_asked(tmp_path: Path) -> None:
    """A shared folder holds spans of other machines too; --other-hosts shows them."""
    write(tmp_path, FAR, span("far", 2, FAR))
    assert call("ps", tmp_path).code == 1
    assert shown("--other-hosts", tmp_path) == ["far"]


def test_a_single_file_can_be_named(tmp_path: Path) -> None:
    """A single file of records is read, whatever its name is."""
    path = write(tmp_path, DEAD, span("open", 2), span("done", 3), span("done", 3, phase="end"))
    path = path.rename(tmp_path / "trace.jsonl")
    assert shown(path) == ["open"]


def test_parents_in_a_circle_end_a_tree(tmp_path: Path) -> None:
    """Spans that are each other's parents are shown once each."""
    one, two = span("one", 2, parent=f"{3:016x}"), span("two", 3, parent=f"{2:016x}")
    write(tmp_path, DEAD, one, two, span("self", 4, parent=f"{4:016x}"))
    out = call("ps", "--tree", tmp_path).out
    assert [out.count(name) for name in ("one", "two", "self")] == [1, 1, 1]


def test_a_deep_tree_fits(tmp_path: Path) -> None:
    """A chain of a thousand spans is drawn without recursion, its indent bounded."""
    chain = [span(f"s{n}", n, parent=f"{n - 1:016x}") for n in range(2, 1002)]
    write(tmp_path, DEAD, *chain)
    lines = call("ps", "--tree", tmp_path).out.splitlines()
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
    lines = table(tmp_path, width)
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
def test_a_device_or_pipe_is_refused(words: list[str], kind: str, tmp_path: Path) -> None:
    """A file that cannot seek is not a "folder without spans": it is named, exit code 2."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader, writer = os.pipe()
    name = {"device": "/dev/zero", "named pipe": str(fifo), "pipe": f"/dev/fd/{reader}"}[kind]
    try:
        done = call(*words, name)
    finally:
        os.close(reader)
        os.close(writer)
    assert done.err.startswith(f"otel-ext: {name}: a device or pipe, not a file of records. ")
    assert (done.code, done.out) == (2, "")


def test_attributes_use_the_columns_that_are_left(tmp_path: Path) -> None:
    """The user's own come first; they are cut at the width, or left out if there is no room."""
    attributes = {"http.method": "GET", "customer": 7, "note": "a text longer than the line"}
    write(tmp_path, DEAD, span("order")._replace(attributes=attributes), span("pay", 2))
    header, order, pay = table(tmp_path, 0)
    assert header.endswith("  WHERE            ATTRIBUTES")
    assert order.endswith('  customer=7 note="a text longer than the line" http.method=GET')
    assert pay.endswith("  opened a.py:3 f")
    assert table(tmp_path, 80)[1].endswith('  customer=7 note="a text longer tha…')
    assert max(map(cells, table(tmp_path, 80))) <= 80
    assert all("ATTRIBUTES" not in line and "customer" not in line for line in table(tmp_path, 50))


def test_eighty_columns_have_room_for_attributes(tmp_path: Path) -> None:
    """80 columns show which order hangs, beside names and locations of usual length."""
    call_site = CallSite("/srv/shop/orders/nightly.py", 123, "Orders.charge_all")
    one = span("charge the card", 2)._replace(
        call_site=call_site, attributes={"order.id": "o-4711"}
    )
    write(tmp_path, DEAD, one)
    header, line = table(tmp_path, 80)
    assert header.endswith("  ATTRIBUTES")
    assert line.endswith("  order.id=o-4711")
    assert "charge the" in line
    assert "charge_all" in line
    assert cells(line) <= 80


def test_a_narrow_terminal_shows_the_pid_of_a_single_process(tmp_path: Path) -> None:
    """With a hundred columns, or in a pipe, the name of the program is shown."""
    write(tmp_path, DEAD, span("order", 2))
    assert table(tmp_path, 80)[0].split()[3] == "PID"
    assert table(tmp_path, 100)[0].split()[3] == table(tmp_path, 0)[0].split()[3] == "PROCESS"
