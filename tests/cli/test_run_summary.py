"""The summary of `otel-ext run`: which records there are, where, and what to type next."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.runner import record_count
from otel_ext.cli.runner.record_count import count_records
from otel_ext.cli.runner.summary import RunSummary
from otel_ext.journal.ring_layout import RING_FOLDER, RingFacts
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process.records import process_end_record
from otel_ext.terminal.output import write_error
from tests.commands import call
from tests.journal.builders import end, make_ring, own_process, start

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Abandoned


def line(number: int, phase: str, abandoned: Abandoned | None = None) -> bytes:
    """Return a line with a record of the span `number`."""
    if phase == "start":
        return encode_line(start(number))
    return encode_line(end(number)._replace(abandoned=abandoned))


def test_spans_without_an_end_are_counted_across_files(tmp_path: Path) -> None:
    """Start and end may be in different files; an end by recovery does not count as an end."""
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_bytes(line(1, "start") + line(2, "start") + line(3, "start") + line(4, "start"))
    other.write_bytes(
        line(1, "end")
        + line(2, "end", "process-died")
        + line(3, "end", "process-died")
        + line(3, "end")
        + line(5, "end")
        + line(5, "end", "process-died")
        + b"no record\n[1]\n{}\n"
    )
    count = count_records([one, other, tmp_path / "gone.jsonl"])
    assert (count.records, count.unended) == (10, 2)


def test_a_line_with_other_types_is_counted(tmp_path: Path) -> None:
    """A file may hold anything; it has one record, and no span of it counts."""
    path = tmp_path / "odd.jsonl"
    path.write_bytes(line(1, "start").replace(b'"phase":"start"', b'"phase":["start"]'))
    count = count_records([path])
    assert (count.records, count.unended) == (1, 0)


def test_only_what_the_run_wrote_counts(tmp_path: Path) -> None:
    """Files that existed before and were not written to since are not counted."""
    old = tmp_path / "old.jsonl"
    old.write_bytes(line(1, "start"))
    summary = RunSummary(tmp_path)
    assert "no records" in summary.text(0)
    new = tmp_path / "new.jsonl"
    new.write_bytes(line(2, "start") + line(2, "end"))
    os.utime(new, (1, 1))  # the clock was set back
    assert summary.text(0).startswith(f"otel-ext: 2 records in 1 file in {tmp_path}\n")


def test_a_single_file_as_output(tmp_path: Path) -> None:
    """The output may be a single file, which the summary names."""
    path = tmp_path / "one.jsonl"
    summary = RunSummary(path)
    assert "no records" in summary.text(0)
    path.write_bytes(line(1, "start"))
    assert f"1 record in 1 file in {path}; 1 span did not end" in summary.text(0)


def test_many_records_are_shown_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit records are not counted, and the summary shows their size."""
    monkeypatch.setattr(record_count, "_MAX_BYTES", 100)
    summary = RunSummary(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(line(1, "start") * 2000)
    assert "MiB of records in 2 files" in summary.text(0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(-9, "ended by SIGKILL"), (-60, "ended by signal 60"), (3, ""), (0, "")],
)
def test_the_signal_is_named(tmp_path: Path, outcome: int, expected: str) -> None:
    """If a signal ended the program, it is named."""
    text = RunSummary(tmp_path).text(outcome)
    assert expected in text
    assert ("ended by" in text) == bool(expected)


@pytest.mark.parametrize("limit", [10_000_000, 100])
def test_what_was_dropped_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Only a process's last count is used; spans without an end are not counted then."""
    monkeypatch.setattr(record_count, "_MAX_BYTES", limit)
    summary = RunSummary(tmp_path)
    process = Process("b0-7-1-00000000")
    accounts = [{"queue_full": 3}, {"queue_full": 1_200, "not_written": 34}]
    lines = [
        encode_line(process_end_record(process, seq, {"dropped": dropped}))
        for seq, dropped in enumerate(accounts, 1)
    ]
    (tmp_path / "a.jsonl").write_bytes(line(1, "start") + b"".join(lines))
    text = summary.text(0)
    assert f"in {tmp_path}; 1,234 records could not be written and were lost\n" in text
    assert "did not end" not in text


def left_ring(
    folder: Path, name: str, lines: list[bytes], dropped: int, created_ns: int | None = None
) -> None:
    """Create the ring buffer of a killed process of this boot."""
    process = own_process(id=name, pid=2**22 + 1, start_time=1)  # a pid beyond the highest
    created = time.time_ns() if created_ns is None else created_ns
    facts = RingFacts(process, created, "", 262_144, 131_072)
    ring = make_ring(folder, facts=facts)
    for one in lines:
        assert ring.append(one)
    ring.stamp(time.time_ns(), len(lines), dropped)


def test_what_a_dead_process_left_in_its_ring_buffer_is_reported(tmp_path: Path) -> None:
    """Records only in a ring buffer are counted, with the command that writes them to the file."""
    summary = RunSummary(tmp_path)
    process = Process("b0-7-1-00000000")
    records = [process_end_record(process, seq) for seq in (1, 2, 3)]
    left_ring(tmp_path, process.id, [encode_line(record) for record in records], dropped=7)
    (tmp_path / f"{process.id}.jsonl").write_bytes(encode_line(records[0]))
    text = summary.text(0)
    assert f"1 record in 1 file in {tmp_path}; 7 records could not be written" in text
    assert f"2 records wait in {tmp_path / RING_FOLDER}; once there is room for more: " in text
    assert f"otel-ext recover {tmp_path}\n" in text
    assert call("recover", tmp_path).code == 0
    assert summary.text(0).startswith(f"otel-ext: 3 records in 1 file in {tmp_path}\n")


def test_a_clock_change_does_not_assign_a_ring_buffer_to_another_run(tmp_path: Path) -> None:
    """A ring buffer counts if it did not exist at the start, whatever its time of creation is."""
    earlier, own = (encode_line(process_end_record(Process(name), 1)) for name in ("p1", "p2"))
    in_an_hour = time.time_ns() + 3_600 * 10**9
    left_ring(tmp_path, "b0-7-1-00000000", [earlier] * 5, dropped=3, created_ns=in_an_hour)
    summary = RunSummary(tmp_path)
    assert "no records" in summary.text(0)
    left_ring(tmp_path, "b0-8-1-00000000", [own], dropped=0, created_ns=1)
    assert f"1 record waits in {tmp_path / RING_FOLDER}; " in summary.text(0)


def test_missing_records_are_not_counted_as_spans_without_an_end(tmp_path: Path) -> None:
    """If records may be missing, they may be ends, so spans without an end are not counted."""
    summary = RunSummary(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(line(1, "start"))
    text = summary.text(0, complete=False)
    assert f"in {tmp_path}; more records may not have been written\n" in text


def test_a_folder_with_a_space_can_be_pasted(tmp_path: Path) -> None:
    """The commands to type next are quoted for a shell."""
    folder = tmp_path / "two words"
    folder.mkdir()
    summary = RunSummary(folder)
    (folder / "a.jsonl").write_bytes(line(1, "start"))
    assert f"validate '{folder}'" in summary.text(0)


def test_a_closed_stream_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a closed stream nor a missing folder is an error."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    write_error(RunSummary(tmp_path / "gone").text(0))
    assert stream.closed
