"""`otel-ext tail`: prints the last records, and each new one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.tail import ring_buffers as tail_rings
from otel_ext.cli.commands.tail.files import FollowedFiles
from otel_ext.exporters import JsonlExporter
from otel_ext.journal.write.journal import Journal
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from tests.cli.watched import run_on_traces
from tests.exporters.samples import end, log, start
from tests.journal.builders import ALONE, line
from tests.programs import OTEL_EXT, environment, execute, started, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, *names: str) -> None:
    """Append a log of each name to a file."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        for number, name in enumerate(names):
            file.write(encode_line(log(name, time_ns=1_792_000_000_000_000_000 + number * 10**9)))


def names(lines: list[bytes]) -> list[str]:
    """Return the events of lines."""
    return [decode_line(line).event for line in lines]


def test_last_lines_of_all_files_come_in_the_order_of_time(tmp_path: Path) -> None:
    """The last N records of several files together, oldest first."""
    written(tmp_path / "a.jsonl", "a0", "a1", "a2")
    written(tmp_path / "b.jsonl", "b0", "b1", "b2")
    assert names(FollowedFiles([tmp_path]).last_lines(4)) == ["a1", "b1", "a2", "b2"]
    assert FollowedFiles([tmp_path]).last_lines(0) == []
    assert len(FollowedFiles([tmp_path]).last_lines(100)) == 6


def test_last_lines_of_a_large_file_are_found_from_its_end(tmp_path: Path) -> None:
    """However large the file is, and however long the lines are."""
    path = tmp_path / "a.jsonl"
    long = log("long", attributes={"text": "x" * 400_000})
    path.write_bytes(encode_line(log("first")) * 5_000 + encode_line(long) * 3)
    assert names(FollowedFiles([path]).last_lines(4)) == ["first", "long", "long", "long"]


def test_new_lines_come_once_and_complete(tmp_path: Path) -> None:
    """An incomplete line is returned once it is complete; new files are read from the start."""
    path = tmp_path / "a.jsonl"
    written(path, "old")
    followed = FollowedFiles([tmp_path])
    assert names(followed.last_lines(10)) == ["old"]
    assert followed.new_lines() == []
    line = encode_line(log("torn"))
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert followed.new_lines() == []
        file.write(line[20:])
    written(tmp_path / "b.jsonl", "other")
    assert sorted(names(followed.new_lines())) == ["other", "torn"]
    assert followed.new_lines() == []


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """Zeros and megabytes without a newline are not shown as lines."""
    path = tmp_path / "a.jsonl"
    written(path, "one")
    followed = FollowedFiles([path])
    followed.last_lines(1)
    with path.open("ab") as file:
        file.write(bytes(600_000) + b"x" * 3_000_000 + b"\n")
    written(path, "two")
    assert [name for name in followed.new_lines() if len(name) < 1_000] == [
        encode_line(log("two"))[:-1]
    ]
    assert followed.new_lines() == []


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    """A new file of the same name, or an emptied one, is read from its start."""
    path = tmp_path / "a.jsonl"
    written(path, "one", "two")
    followed = FollowedFiles([path])
    followed.last_lines(1)
    path.write_bytes(encode_line(log("less")))
    assert names(followed.new_lines()) == ["less"]
    written(tmp_path / "new", "three", "four")
    (tmp_path / "new").replace(path)
    assert names(followed.new_lines()) == ["three", "four"]
    path.unlink()
    assert followed.new_lines() == []


def test_what_waits_in_a_ring_buffer_is_shown_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting lines are among the last lines; later ones are shown if no worker drains them."""
    journal = Journal(tmp_path, ALONE)  # without a worker, as in a program that hangs
    for name in ("written", "also written"):
        journal.append(line(len(name), name=name))
    journal.drain()
    journal.append(line(20, name="waits"))
    followed = FollowedFiles([tmp_path])
    assert names(followed.last_lines(2)) == ["also written", "waits"]
    journal.append(line(21, name="comes later"))
    assert followed.new_lines() == []  # its worker may still run
    monkeypatch.setattr(tail_rings, "STALE_STAMP_NS", 0)
    monkeypatch.setattr(tail_rings, "_CHECK_SECONDS", 0.0)
    followed = FollowedFiles([next(tmp_path.glob("*.jsonl"))])
    assert names(followed.last_lines(1)) == ["comes later"]
    journal.append(line(22, name="waits as well"))
    assert names(followed.new_lines()) == ["waits as well"]
    assert followed.new_lines() == []
    journal.drain()
    journal.append(line(23, name="new"))
    assert names(followed.new_lines()) == ["new"]
    assert journal.close()
    assert followed.new_lines() == []


@pytest.mark.measured
def test_a_program_is_followed_until_ctrl_c(tmp_path: Path) -> None:
    """Records appear while the command runs; Ctrl-C ends it with a shell's exit code."""
    exporter = JsonlExporter(tmp_path / "traces")
    exporter.export(start("before"))
    exporter.force_flush()
    output = tmp_path / "output.txt"
    with started([OTEL_EXT, "tail", "traces"], cwd=tmp_path) as process:
        wait_until(lambda: "▶ before" in output.read_text("utf-8"), "the last records")
        exporter.export(end("before"))
        exporter.export(start("after", 2, time_ns=1_792_000_001_000_000_000))
        exporter.force_flush()
        wait_until(lambda: "▶ after" in output.read_text("utf-8"), "the new records")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    exporter.shutdown()
    text = output.read_text("utf-8")
    assert text.count("✓ before") == 1
    assert text.index("✓ before") < text.index("▶ after")


def test_lines_for_programs_are_those_of_the_file(tmp_path: Path) -> None:
    """With --json each line is printed byte for byte."""
    written(tmp_path / "traces" / "a.jsonl", "one", "two")
    done = execute([OTEL_EXT, "tail", "--no-follow", "--json", "traces"], cwd=tmp_path)
    assert done.out == (tmp_path / "traces" / "a.jsonl").read_text("utf-8")


def test_what_a_new_file_repeats_is_shown_once(tmp_path: Path) -> None:
    """A start repeated by the next segment, and damage, add no second line."""
    path = tmp_path / "traces" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(encode_line(start()) * 2 + b"garbage\n" * 3 + encode_line(end()))
    done = run_on_traces(tmp_path, "tail", "--no-follow")
    assert (done.out.count("▶ load"), done.out.count("✓ load")) == (1, 1)
    assert done.err.count("some lines are not valid records") == 1


def test_a_closed_pipe_ends_it(tmp_path: Path) -> None:
    """`otel-ext tail | head` ends without an error message."""
    written(tmp_path / "traces" / "a.jsonl", *map(str, range(2_000)))
    command = f"'{OTEL_EXT}' tail --no-follow --lines 2000 traces | head -1"
    done = execute(["bash", "-c", command], cwd=tmp_path, env={**environment(), **os.environ})
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1
