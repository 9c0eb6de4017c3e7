"""`ps`, `recover` and `doctor` agree on the same processes and spans."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.doctor.programs import check_ids, check_processes
from otel_ext.journal.liveness import silence_limit
from otel_ext.journal.read.folder import read_incarnations
from otel_ext.journal.recovery.recover import recover
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.process.records import process_record, process_start_record
from tests.cli.watched import become, both, run_on_traces, shop, spans_by, states
from tests.cli.written import exported
from tests.exporters.samples import end, start
from tests.programs import records_in, suspend, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.watched import Shop


def truncate(path: Path) -> None:
    """Empty a file, as logrotate's copytruncate does."""
    os.truncate(path, 0)


def rename(path: Path) -> None:
    """Move a file away, as logrotate's create does."""
    path.rename(path.with_name("old.jsonl.1"))


@pytest.mark.parametrize("take", [truncate, rename, os.unlink])
def test_spans_of_a_hung_program_are_seen_without_its_file(
    tmp_path: Path, take: Callable[[Path], object]
) -> None:
    """They are in the ring buffer: `ps` shows what `recover` will end, as hung, then as lost."""
    with shop(tmp_path) as process:
        become(tmp_path, "running")
        suspend(process)
        (file,) = (tmp_path / "traces").glob("*.jsonl")
        take(file)
        assert states(tmp_path) == both("hung")
        process.kill()
        process.wait()
        assert states(tmp_path) == both("lost")
    (found,) = run_on_traces(tmp_path, "recover", "--json").document["recovered"]
    assert {span["name"] for span in found["ended"]} == {"checkout", "pay"}


def test_a_lost_span_has_one_age(dead_shop: Shop, tmp_path: Path) -> None:
    """`ps`, `recover` and the end that recovery writes have the same age and attributes."""
    ages = {name: span["age_seconds"] for name, span in spans_by(dead_shop.folder).items()}
    (found,) = run_on_traces(tmp_path, "recover", "--json").document["recovered"]
    assert {"user": "ann"} in [span["attributes"] for span in found["ended"]]
    assert {span["name"]: span["age_seconds"] for span in found["ended"]} == ages
    ends = [one for one in records_in(tmp_path / "traces") if one.abandoned == "process-died"]
    assert {one.name: (one.time_ns - one.start_ns) / 1e9 for one in ends} == ages


@pytest.mark.parametrize("interval", [2.0, 90.0])
def test_a_process_records_its_heartbeat_interval(tmp_path: Path, interval: float) -> None:
    """Readers wait for three of its own heartbeats, whatever their own settings are."""
    with shop(tmp_path, heartbeat_interval=interval, durability="queued"):
        wait_until(lambda: read_incarnations(tmp_path / "traces")[0], "its first records")
        (found,) = read_incarnations(tmp_path / "traces")[0].values()
        facts = found.facts()
        assert facts.process.heartbeat_ms == interval * 1_000
        assert facts.silence_limit == 3 * interval + 1


def test_a_process_with_a_slow_heartbeat_is_not_recovered(tmp_path: Path) -> None:
    """A process in another container is not recovered until it missed three heartbeats."""
    here = incarnation.current().process_for(None)
    process = Process(
        "b0b0b0b0-7-1-00000000",
        pid=7,
        start_time=1,
        boot_id="b0b0b0b0",
        host="elsewhere",
        pid_namespace=here.pid_namespace + 1,
        heartbeat_ms=60_000,
    )
    path = exported(tmp_path / "one.jsonl", start("job", process=process))
    lines = path.read_text().splitlines(keepends=True)
    record = json.loads(lines[0])
    record["__tracer_meta__"].update(
        pid=7,
        start_time=1,
        boot_id="b0b0b0b0",
        host="elsewhere",
        process=process.id,
        heartbeat_ms=60_000,
        pid_namespace=process.pid_namespace,
    )
    file = tmp_path / "traces" / f"{process.id}.1.jsonl"
    file.parent.mkdir()
    file.write_text(json.dumps(record) + "\n" + next(line for line in lines if "job" in line))
    written_ns = max(file.stat().st_mtime_ns, start().time_ns)
    minute = 60_000_000_000
    assert recover(file.parent, now_ns=written_ns + 2 * minute).uncertain == [process.id]
    assert recover(file.parent, now_ns=written_ns + 4 * minute).spans == 1


@pytest.mark.parametrize(("elapsed", "dropped"), [(100, 7), (182, 0)])
def test_drops_are_known_until_heartbeats_are_missing(
    tmp_path: Path, elapsed: int, dropped: int
) -> None:
    """A new segment has no heartbeat yet, so that of the previous segment counts.

    Three heartbeats after it, it no longer does: the process has stopped sending them.
    """
    process = Process("b0b0b0b0-7-1-00000000", pid=7, boot_id="b0b0b0b0", heartbeat_ms=60_000)
    start_line = encode_line(process_start_record(process, 1))
    beat = process_record("process.heartbeat", process, 2, {"dropped": {"queue_full": 7}})
    span = encode_line(start("job", process=process))
    previous, newest = tmp_path / f"{process.id}.jsonl", tmp_path / f"{process.id}.1.jsonl"
    previous.write_bytes(start_line + encode_line(beat))
    newest.write_bytes(start_line + span + encode_line(end("other", process=process)))
    os.utime(previous, (1_000, 1_000))
    os.utime(newest, (1_000 + elapsed, 1_000 + elapsed))
    (found,) = SnapshotReader([tmp_path], other_hosts=True).read().processes
    assert found.dropped == dropped


def test_without_a_heartbeat_silence_proves_little() -> None:
    """Without heartbeats the limit is ten minutes; with a stamped ring buffer, 15 seconds."""
    assert silence_limit(0, has_ring=False) == 600
    assert silence_limit(0, has_ring=True) == 15


def test_spans_with_the_same_ids_are_all_shown(tmp_path: Path) -> None:
    """With a seeded `random` in several workers, `ps` shows the span of each."""
    for number in range(3):
        process = Process(f"b0b0b0b0-{number + 1}-1-0000000{number}", pid=number + 1)
        both_records = (start("epoch", process=process), end("epoch", process=process))
        exported(tmp_path / f"{number}.jsonl", *both_records[: 2 if number == 0 else 1])
    files = sorted(tmp_path.glob("*.jsonl"))
    spans = SnapshotReader(files, other_hosts=True).read().spans
    assert sorted(span.record.process.pid or span.process.pid for span in spans) == [2, 3]
    snapshot = SnapshotReader(files, other_hosts=True).read()
    (check,) = [one for one in check_processes(snapshot) if one.part == "ids"]
    assert "1 span has an id that several processes use: 1, 2, 3" in check.detail


def test_ids_that_finished_spans_repeat_are_found(tmp_path: Path) -> None:
    """`doctor` reports repeated ids even if none of the spans is open any more."""
    for number in range(5):
        process = Process(f"b0b0b0b0-{number + 1}-1-0000000{number}", pid=number + 1)
        records = (start("epoch", process=process), end("epoch", process=process))
        exported(tmp_path / f"{number}.jsonl", *records)
    snapshot = SnapshotReader([tmp_path], other_hosts=True).read()
    assert snapshot.spans == ()
    (check,) = check_ids(snapshot)
    assert check.detail == "1 span has an id that several processes use: 1, 2, 3 and 2 more"
    assert check.needs_attention
