"""Programs that replaced themselves (`os.execv`): only the image opened last can live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.read.replaced_programs import is_replaced_by, replaced_incarnations
from otel_ext.journal.recovery.recover import recover

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 60.0
PROGRAM = """
import os, sys, time
folder, life, recovers, durability, step = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
now = time.time_ns
time.time_ns = lambda: now() + life * int(step) * 10**9
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.exporters import JsonlExporter
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor

settings = JournalSettings(durability, ring_size=1 << 17, recover_on_start=recovers == "yes")
provider = TracerProvider()
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(folder, settings=settings)))
with provider.get_tracer("t").start_as_current_span(f"life {life}"):
    if life < 2:
        provider.force_flush()
        rest = [folder, str(life + 1), recovers, durability, step]
        os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], *rest])
    print("ready", flush=True)
    sys.stdin.read()
"""


def _start(
    folder: Path, recovers: str, durability: str = "mapped", step: int = 0
) -> subprocess.Popen[bytes]:
    """Start a program that replaces itself twice; the time of day moves by `step` each time."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, folder, "0", recovers, durability, str(step)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    return program


def _stop(program: subprocess.Popen[bytes]) -> None:
    program.communicate(timeout=DEADLINE)


def _ps(folder: Path) -> dict[str, str]:
    out = subprocess.run(
        [sys.executable, "-m", "otel_ext", "ps", "--json", str(folder)],
        capture_output=True,
        check=False,
    ).stdout
    return {span["name"]: span["state"] for span in map(json.loads, out.splitlines())}


@pytest.mark.parametrize(
    ("durability", "step"), [("mapped", 0), ("mapped", -3600), ("queued", -3600), ("write", -3600)]
)
def test_readers_show_a_replaced_program_as_lost_and_recovery_ends_it(
    tmp_path: Path, durability: str, step: int
) -> None:
    """`ps` and `recover` agree: of three images only the last one lives.

    They also agree if the clock is set back by an hour between two images.
    """
    folder = tmp_path / "traces"
    program = _start(folder, "no", durability, step)
    try:
        states = _ps(folder)
        assert states["life 0"] == states["life 1"] == "lost"
        assert states["life 2"] == "running"
        report = recover(folder)
        assert (report.spans, len(report.living)) == (2, 1)
        assert list(_ps(folder)) == ["life 2"]
    finally:
        _stop(program)
    assert recover(folder).spans == 0


def test_a_new_program_ends_the_spans_of_those_it_replaced(tmp_path: Path) -> None:
    """Without any command, the living image ends the open spans of its predecessors."""
    folder = tmp_path / "traces"
    program = _start(folder, "yes")
    try:
        end = time.monotonic() + DEADLINE
        while len(list((folder / ".blackbox").glob("*.ring"))) > 1:
            assert time.monotonic() < end, "the ring buffers of the predecessors stay"
            time.sleep(0.02)
    finally:
        _stop(program)
    texts = [file.read_text("utf-8") for file in folder.glob("*.jsonl")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    ended = {
        meta["event"]: meta.get("abandoned")
        for meta in (line["__tracer_meta__"] for line in lines)
        if meta.get("phase") == "end"
    }
    assert ended == {
        "life 0.end": "process-died",
        "life 1.end": "process-died",
        "life 2.end": None,
    }


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("0123abcd-7-99-00000001", True),
        ("0123abcd-7-99-00000002", False),
        ("0123abcd-8-99-00000001", False),
        ("0123abcd-7-98-00000001", False),
        ("ffffffff-7-99-00000001", False),
        ("noboot-7-99-00000001", False),
        ("0123abcd-7-0-00000001", False),
    ],
)
def test_pid_start_and_boot_must_agree(other: str, expected: bool) -> None:
    """With another pid (a forked child), start or boot it is another process."""
    assert is_replaced_by(other, "0123abcd-7-99-00000002") is expected


def test_namespaces_are_kept_apart(tmp_path: Path) -> None:
    """Two containers may have the same pid and start time; neither replaced the other."""
    for number, namespace in enumerate((1, 2, 2)):
        name = f"0123abcd-7-99-0000000{number}"
        meta = {
            "timestamp": f"2026-01-01T00:00:0{number}.000000Z",
            "event": "process.start",
            "file": "a.py",
            "line": 1,
            "function": "f",
            "version": 2,
            "kind": "process",
            "seq": 1,
            "process": name,
            "pid": 7,
            "start_time": 99,
            "pid_namespace": namespace,
        }
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"__tracer_meta__": meta}) + os.linesep)
    assert replaced_incarnations(tmp_path) == {"0123abcd-7-99-00000001"}
    assert replaced_incarnations(tmp_path / "missing") == frozenset()
