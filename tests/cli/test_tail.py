"""`otel-ext tail`: the last records, and each new one."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.tail import ring_buffers as tail_rings
from otel_ext.cli.commands.tail.files import Followed
from otel_ext.exporters import JsonlExporter
from otel_ext.journal.write.journal import Journal
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from tests.cli.watched import look
from tests.exporters.samples import end, log, start
from tests.journal.builders import ALONE, line
from tests.programs import OTEL_EXT, environment, execute, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.measured


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
    """Of several files the last records together, as many as asked for, oldest first."""
    written(tmp_path / "a.jsonl", "a0", "a1", "a2")
    written(tmp_path / "b.jsonl", "b0", "b1", "b2")
    assert names(Followed([tmp_path]).last(4)) == ["a1", "b1", "a2", "b2"]
    assert Followed([tmp_path]).last(0) == []
    assert len(Followed([tmp_path]).last(100)) == 6


def test_last_lines_of_a_large_file_are_found_from_its_end(tmp_path: Path) -> None:
    """However much stands before them, and however long they are."""
    path = tmp_path / "a.jsonl"
    long = log("long", attributes={"text": "x" * 400_000})
    path.write_bytes(encode_line(log("first")) * 5_000 + encode_line(long) * 3)
    assert names(Followed([path]).last(4)) == ["first", "long", "long", "long"]


def test_news_come_once_and_whole(tmp_path: Path) -> None:
    """A line in the making is waited for; new files are read from their beginning."""
    path = tmp_path / "a.jsonl"
    written(path, "old")
    followed = Followed([tmp_path])
    assert names(followed.last(10)) == ["old"]
    assert followed.news() == []
    line = encode_line(log("torn"))
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert followed.news() == []
        file.write(line[20:])
    written(tmp_path / "b.jsonl", "other")
    assert sorted(names(followed.news())) == ["other", "torn"]
    assert followed.news() == []


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """What has the same name and is another file, or was emptied, begins at its beginning."""
    path = tmp_path / "a.jsonl"
    written(path, "one", "two")
    followed = Followed([path])
    followed.last(1)
    path.write_bytes(encode_line(log("less")))
    assert names(followed.news()) == ["less"]
    written(tmp_path / "new", "three", "four")
    (tmp_path / "new").replace(path)
    assert names(followed.news()) == ["three", "four"]
    path.unlink()
    assert followed.news() == []


def test_what_waits_in_a_ring_buffer_is_shown_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last lines are the last ones made; later ones too where nothing brings them out."""
    journal = Journal(tmp_path, ALONE)  # without a worker, as one that hangs
    for name in ("written", "also written"):
        journal.append(line(len(name), name=name))
    journal.drain()
    journal.append(line(20, name="waits"))
    followed = Followed([tmp_path])
    assert names(followed.last(2)) == ["also written", "waits"]
    journal.append(line(21, name="comes later"))
    assert followed.news() == []  # its worker may still be at work
    monkeypatch.setattr(tail_rings, "_STOPPED_NS", 0)
    monkeypatch.setattr(tail_rings, "_LOOK_SECONDS", 0.0)
    followed = Followed([next(tmp_path.glob("*.jsonl"))])
    assert names(followed.last(1)) == ["comes later"]
    journal.append(line(22, name="waits as well"))
    assert names(followed.news()) == ["waits as well"]
    assert followed.news() == []
    journal.drain()
    journal.append(line(23, name="new"))
    assert names(followed.news()) == ["new"]
    assert journal.close()
    assert followed.news() == []


def test_a_program_is_followed_until_ctrl_c(tmp_path: Path) -> None:
    """Records appear while the command runs; Ctrl-C ends it with a shell's exit code."""
    exporter = JsonlExporter(tmp_path / "traces")
    exporter.export(start("before"))
    exporter.force_flush()
    output = tmp_path / "output.txt"
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [OTEL_EXT, "tail", "traces"], cwd=tmp_path, env=environment(), stdout=file
        ) as process,
    ):
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
    done = look(tmp_path, "tail", "--no-follow", "--json")
    assert done.out == (tmp_path / "traces" / "a.jsonl").read_text("utf-8")


def test_what_a_new_file_repeats_is_shown_once(tmp_path: Path) -> None:
    """A start that stands again in the next segment, and damage, make no second line."""
    path = tmp_path / "traces" / "a.jsonl"
    path.parent.mkdir()
    path.write_bytes(encode_line(start()) * 2 + b"garbage\n" * 3 + encode_line(end()))
    done = look(tmp_path, "tail", "--no-follow")
    assert (done.out.count("▶ load"), done.out.count("✓ load")) == (1, 1)
    assert done.err.count("some lines are no records") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing"], "missing: there is no such"),
        (["/dev/null"], "/dev/null: a device or pipe"),
        (["--lines", "-3", "traces"], "'-3' is not a whole number from 0; give 0 or more"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    """A wrong place or number is one line and exit code 2."""
    (tmp_path / "traces").mkdir()
    done = execute([OTEL_EXT, "tail", "--no-follow", *words], cwd=tmp_path, env=environment())
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_leaves_ends_it(tmp_path: Path) -> None:
    """`otel-ext tail | head` ends without a complaint."""
    written(tmp_path / "traces" / "a.jsonl", *map(str, range(2_000)))
    command = f"'{OTEL_EXT}' tail --no-follow --lines 2000 traces | head -1"
    done = execute(["bash", "-c", command], cwd=tmp_path, env={**environment(), **os.environ})
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1
