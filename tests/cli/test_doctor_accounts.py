"""`otel-ext doctor` names programs that dropped records or whose buffer came close to full."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.commands.doctor.programs import check_ended, check_running
from otel_ext.observe.processes import RunningProcess
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.record.codec import encode_line
from otel_ext.record.model import Process
from otel_ext.runtime.process.records import (
    process_end_record,
    process_record,
    process_start_record,
)
from tests.cli.watched import parts_of, run_on_traces
from tests.programs import python, succeed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.cli.commands.doctor.check import Check

BURST = """\
import sys
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor

sys.setswitchinterval(5)  # the worker does not run until the burst is over
exporter = JsonlExporter("traces", settings=JournalSettings(ring_size=1 << 17))
provider = TracerProvider()
provider.add_span_processor(LifecycleSpanProcessor(exporter))
tracer = provider.get_tracer("shop")
for number in range(1_000):
    tracer.start_span("order", attributes={"text": "x" * 100}).end()
    if exporter.state.pending > float(sys.argv[1]) * (1 << 17):
        break
"""


def ended(folder: Path, name: str, totals: Mapping[str, object]) -> Path:
    """Write the file of an ended process whose last record has `totals`."""
    process = Process(f"b0b0b0b0-{name}-1-00000001", pid=int(name))
    path = folder / f"{process.id}.jsonl"
    records = (process_start_record(process, 1), process_end_record(process, 2, totals))
    path.write_bytes(b"".join(map(encode_line, records)))
    return path


def found_in(folder: Path) -> list[Check]:
    """Return the checks of the ended programs of a folder."""
    return list(check_ended(SnapshotReader([folder], other_hosts=True).read()))


@pytest.mark.parametrize(
    ("facts", "state", "expected", "hint"),
    [
        ({}, "healthy", "2 open", ""),
        ({"dropped": {"queue_full": 0}, "buffer_peak": 79}, "healthy", "2 open", ""),
        ({"buffer_peak": 80}, "note", "its buffer came close to full: 80 %; 2 open", "ring-size"),
        (
            {"dropped": {"queue_full": 7, "closed": 1}, "buffer_peak": 99},
            "degraded",
            "records were dropped: closed 1, queue_full 7; 2 open",
            "raise ring-size",
        ),
        ({"dropped": "many", "buffer_peak": "full"}, "healthy", "2 open", ""),
    ],
)
def test_the_newest_heartbeat_is_checked(
    facts: dict[str, object], state: str, expected: str, hint: str
) -> None:
    """For a running program: what it dropped, else how full its buffer has been."""
    process = Process("b0b0b0b0-7-1-00000001", pid=7)
    heartbeat = process_record("process.heartbeat", process, 9, facts)
    running = RunningProcess(
        process.id, 7, "shop", "", Path("traces"), "alive", 1, 9, (), heartbeat
    )
    check = check_running(running.label, "2 open", running)
    assert (check.state, check.detail) == (state, expected)
    assert hint in check.hint


def test_counts_of_ended_programs_are_added_up(tmp_path: Path) -> None:
    """Each by its last record, in the last of its files; old programs do not count."""
    ended(tmp_path, "1", {"dropped": {"queue_full": 3}, "buffer_peak": 99})
    ended(tmp_path, "2", {"dropped": {"queue_full": 1_000, "not_written": 2}})
    ended(tmp_path, "3", {"dropped": {}, "buffer_peak": 85})
    ended(tmp_path, "4", {"dropped": {}, "buffer_peak": 20})
    os.utime(ended(tmp_path, "5", {"dropped": {"queue_full": 500}}), (0, 0))
    dropped, close = found_in(tmp_path)
    assert dropped.state == "degraded"
    assert dropped.detail == (
        "2 programs dropped 1,005 records within a day: not_written 2, queue_full 1,003"
    )
    assert "raise ring-size" in dropped.hint
    assert close.state == "note"
    assert close.detail == "the buffer of 1 program came close to full: 85 %"


def test_a_folder_without_drops_needs_no_attention(tmp_path: Path) -> None:
    """Without drops nothing is reported, and files that are not records are ignored."""
    ended(tmp_path, "4", {"dropped": {}, "buffer_peak": 20})
    (tmp_path / "other.jsonl").write_text("[1]\n{}\n")
    assert found_in(tmp_path) == []


@pytest.mark.parametrize(
    ("part", "state", "expected"),
    [(9.9, "degraded", "1 program dropped "), (0.9, "note", "came close to full: 9")],
)
def test_a_burst_into_a_small_buffer(
    tmp_path: Path, part: float, state: str, expected: str
) -> None:
    """After a real program ended, doctor shows that it lost records, or nearly did."""
    succeed(python("-c", BURST, str(part)), tmp_path)
    found = parts_of(run_on_traces(tmp_path, "doctor", "--json"))["ended"]
    assert found["state"] == state
    assert expected in found["detail"]
    assert "ring-size" in found["hint"]
