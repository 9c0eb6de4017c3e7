"""Kills at random moments and at every system call lose no promised record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.read.scanner import Located, read_records
from otel_ext.journal.recovery.recover import recover
from tests.figures import report_figures
from tests.journal.builders import ROOT, program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record

KILLS = os.environ.get("OTEL_EXT_TEST_KILLS", "100")
MUST_BE_ZERO = (
    "missing starts",
    "missing ends",
    "records twice",
    "spans without one end",
    "failed recoveries",
    "second recovery did something",
    "left behind",
)


@pytest.mark.slow
@pytest.mark.timeout(60 + int(KILLS))
def test_random_kills() -> None:
    """After recovery each start and end that had returned is there exactly once."""
    script = ROOT / "tests" / "chaos" / "kill_loop.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), KILLS],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    report_figures("random kills", **result)
    assert result["kills"] == int(KILLS)
    assert result["starts"] > result["kills"]
    # On each of the two threads a line may have been half copied at the kill.
    assert sum(result[name] for name in result if name.startswith("skipped")) <= 2 * result["kills"]
    assert {name: result.get(name, 0) for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)


SMALL_PROGRAM = """
    import os, sys
    from pathlib import Path

    from otel_ext.record.model import Record
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from otel_ext.exporters.jsonl import JsonlExporter
    from otel_ext.journal.settings import JournalSettings
    from otel_ext.processors.lifecycle import LifecycleSpanProcessor
    ledger = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def note(text):
        os.pwrite(ledger, text.encode() + b"\\n", 0)
    exporter = JsonlExporter(sys.argv[1], settings=JournalSettings(segment_size=2048))
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(exporter))
    tracer = provider.get_tracer("small")
    spans = []
    for number in range(4):
        spans.append(tracer.start_span(f"span {number}"))
        note(f"S{number}")
        exporter.force_flush(2000)
        if number % 2:
            spans[number].end()
            note(f"E{number}")
    exporter.force_flush(2000)
    for number in (0, 2):
        spans[number].end()
        note(f"E{number}")
    provider.shutdown()
"""


def check(folder: Path, ledger: Path) -> None:
    """Assert that recovery finds all starts and ends in the ledger, each once."""
    report = recover(folder)
    assert not report.failed
    records: list[Record] = []
    for path in folder.glob("*.jsonl"):
        mine = [item.record for item in read_records(path) if isinstance(item, Located)]
        # Only a further segment repeats the starts of open spans.
        assert len({record.seq for record in mine}) == len(mine)
        records += mine
    starts = {record.name for record in records if record.phase == "start"}
    ends = [record.name for record in records if record.phase == "end"]
    assert sorted(ends) == sorted(starts)
    for note in ledger.read_text(encoding="utf-8").split() if ledger.exists() else []:
        assert f"span {note[1:]}" in (starts if note[0] == "S" else ends), note


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
# A kill at each write: tests/durability/test_kills.py.
@pytest.mark.parametrize("call", ["fdatasync", "fallocate", "unlink", "rmdir"])
def test_a_kill_at_every_other_system_call(tmp_path: Path, call: str) -> None:
    """A program killed at the first, second, ... call on its files can be recovered."""
    number = 0
    while True:
        number += 1
        folder, ledger = tmp_path / f"{number}", tmp_path / f"ledger-{number}"
        command = program(SMALL_PROGRAM, folder, ledger)
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}"]
        inject += ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
        done = subprocess.run([*inject, *command], capture_output=True, text=True, check=False)
        if folder.exists():
            check(folder, ledger)
        if done.returncode == 0:
            break
        assert done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr
        assert number < 60
    report_figures(f"killed at each {call}", kills=number - 1)
    assert number > 1
