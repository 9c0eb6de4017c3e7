"""The closing words of `otel-ext run`: what there is, where, and what to type next."""

from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli import run_summary
from otel_ext.cli.run_summary import RunSummary, count_records
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process, Record, Status

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Abandoned

TRACE = "0" * 31 + "1"


def line(span: int, phase: str, abandoned: Abandoned | None = None) -> bytes:
    """Return a record of a span as it stands in a file."""
    record = Record(
        "span",
        "start" if phase == "start" else "end",
        "work",
        1,
        1,
        Process("p"),
        trace_id=TRACE,
        span_id=f"{span:016x}",
        status=Status("unset"),
        abandoned=abandoned,
    )
    return encode_line(record)


def test_spans_without_an_end_are_counted_across_files(tmp_path: Path) -> None:
    """A start in one file and its end in another belong together; a made-up end is no end."""
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_bytes(line(1, "start") + line(2, "start") + line(3, "start") + line(4, "start"))
    other.write_bytes(
        line(1, "end")
        + line(2, "end", "process-died")
        + line(3, "end", "process-died")
        + line(3, "end")
        + b"no record\n[1]\n{}\n"
    )
    count = count_records([one, other, tmp_path / "gone.jsonl"])
    assert (count.records, count.unended) == (8, 2)


def test_only_what_the_run_wrote_counts(tmp_path: Path) -> None:
    """Files that were there before and were not written to since are left out."""
    old = tmp_path / "old.jsonl"
    old.write_bytes(line(1, "start"))
    os.utime(old, (time.time() - 60, time.time() - 60))
    summary = RunSummary(tmp_path)
    assert "no records" in summary.text(0)
    (tmp_path / "new.jsonl").write_bytes(line(2, "start") + line(2, "end"))
    assert summary.text(0).startswith(f"otel-ext: 2 records in 1 file in {tmp_path}\n")


def test_a_single_file_as_output(tmp_path: Path) -> None:
    """The output may be one file; it is named as it was given."""
    path = tmp_path / "one.jsonl"
    summary = RunSummary(path)
    assert "no records" in summary.text(0)
    path.write_bytes(line(1, "start"))
    assert f"1 record in 1 file in {path}; 1 span did not end" in summary.text(0)


def test_too_much_to_count_is_weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size the records are not read again, and the words give the size."""
    monkeypatch.setattr(run_summary, "_MAX_BYTES", 100)
    summary = RunSummary(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(line(1, "start") * 2000)
    assert "MiB of records in 2 files" in summary.text(0)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(-9, "ended by SIGKILL"), (-60, "ended by signal 60"), (3, ""), (0, "")],
)
def test_the_signal_is_named(tmp_path: Path, outcome: int, said: str) -> None:
    """What ended the program is named where that was a signal, and only then."""
    text = RunSummary(tmp_path).text(outcome)
    assert said in text
    assert ("ended by" in text) == bool(said)


def test_a_folder_with_a_space_can_be_pasted(tmp_path: Path) -> None:
    """The commands to type next are quoted for a shell."""
    folder = tmp_path / "two words"
    folder.mkdir()
    summary = RunSummary(folder)
    (folder / "a.jsonl").write_bytes(line(1, "start"))
    assert f"validate '{folder}'" in summary.text(0)


def test_nobody_listens(tmp_path: Path) -> None:
    """A closed stream, or a folder that is gone, is no error."""
    stream = io.StringIO()
    stream.close()
    RunSummary(tmp_path / "gone").write(stream, 0)
    assert stream.closed
