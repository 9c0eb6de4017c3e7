"""A kill at every write of a whole program, and at any moment of a program under `otel-ext run`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.durability.kit import (
    assert_ended_once,
    assert_valid,
    command,
    ledger,
    recovered,
    tree_env,
)
from tests.figures import report_figures
from tests.programs import python, recorded, records_in, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.kit import Found

SMALL = """
    notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    at = [0]
    def note(letter, span):
        # Not by `write`, whose calls are counted here.
        text = letter + b"%016x" % span.get_span_context().span_id
        os.pwrite(notes, text, at[0])
        at[0] += len(text)
    def use(name):
        with tracer.start_as_current_span(name) as outer:
            outer.set_attribute("text", LONG)
            note(b"S", outer)
            inner = tracer.start_span(name + " inner")
            note(b"S", inner)
            time.sleep(0.03)
            inner.end()
            note(b"E", inner)
        note(b"E", outer)
    # Long enough for several files: a kill may come between two of them.
    LONG = "x" * 12_000
    kept = tracer.start_span("kept")
    note(b"S", kept)
    threads = [threading.Thread(target=use, args=(f"thread {n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for number in range(4):
        use(f"main {number}")
        handle.flush()
    for thread in threads:
        thread.join()
    use("last")
    handle.shutdown()
    note(b"X", kept)
"""


def missing_from(found: Found, started: set[str], ended: set[str]) -> set[str]:
    """Return the ids of spans that a ledger promises and the records do not have."""
    real = {end.span_id for end in found.phase("end") if not end.abandoned}
    return (started - {start.span_id for start in found.phase("start")}) | (ended - real)


@pytest.mark.storm
@pytest.mark.needs("strace")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("durability", ["mapped", "write"])
def test_a_kill_at_every_write(tmp_path: Path, durability: str) -> None:
    """Killed at its first, second, ... write, a whole program is recoverable each time.

    In mode `write` a slow write makes callers queue their lines for a while, which they
    report; then queued lines may be missing. That must be the exception.
    """
    number, promised, queued, files = 0, 0, 0, 0
    while True:
        number += 1
        folder, notes = tmp_path / f"{number}", tmp_path / f"notes-{number}"
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write"]
        inject = ["-e", f"inject=write:signal=SIGKILL:when={number}"]
        settings = {"OTEL_EXT_DURABILITY": durability, "OTEL_EXT_SEGMENT_SIZE": "64KiB"}
        env = tree_env(PYTHONUNBUFFERED="1", **settings)
        argv = [*trace, *inject, *command(SMALL, folder, notes)]
        done = subprocess.run(argv, env=env, check=False, stderr=subprocess.PIPE)
        found = recovered(folder) if folder.exists() else None
        started, ended = ledger(notes)
        promised += len(started) + len(ended)
        assert found is not None or not started
        if found is not None:
            assert_ended_once(found)
            assert not list(folder.glob(".blackbox"))
            files = max(files, len(list(folder.glob("*.jsonl"))))
            if b"records wait in memory" in done.stderr:
                queued += 1
            else:
                assert not missing_from(found, started, ended), number
        if done.returncode == 0:
            break
        assert done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
        assert number < 200
    report_figures(
        f"{durability}: killed at each write",
        kills=number - 1,
        promised=promised,
        not_asked_because_queued=queued,
        files=files,
    )
    assert number > 3
    assert files > 1
    assert queued <= (0 if durability == "mapped" else number // 2)


LIVES = """\
import sys, threading, time
from opentelemetry import trace
tracer = trace.get_tracer("test")
notes = open(sys.argv[1], "ab", buffering=0)

def work():
    while True:
        with tracer.start_as_current_span("outer") as outer:
            notes.write(b"S%016x" % outer.get_span_context().span_id)
            with tracer.start_as_current_span("inner") as inner:
                notes.write(b"S%016x" % inner.get_span_context().span_id)
                time.sleep(0.001)
            notes.write(b"E%016x" % inner.get_span_context().span_id)
        notes.write(b"E%016x" % outer.get_span_context().span_id)

threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
time.sleep(30)
"""


@pytest.mark.parametrize("turn", range(3))
def test_a_program_under_otel_ext_run_is_killed(tmp_path: Path, turn: int) -> None:
    """`otel-ext run` recovers at once, reports the signal, and ends by it itself."""
    program = tmp_path / "program.py"
    program.write_text(LIVES)
    folder, notes = tmp_path / "traces", tmp_path / "notes"
    argv = recorded(folder, *python(program, notes))
    with subprocess.Popen(argv, env=tree_env(), stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(ledger(notes)[1]) > 20, "some spans")
        time.sleep(random.random() * 0.2)
        [child] = [
            int(pid)
            for pid in subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, check=True
            ).stdout.split()
        ]
        os.kill(child, signal.SIGKILL)
        stderr = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGKILL
    started, ended = ledger(notes)
    found = recovered(folder)
    assert_ended_once(found)
    missing = missing_from(found, started, ended)
    abandoned = [end for end in found.phase("end") if end.abandoned]
    assert {end.extra["signal"] for end in abandoned} == {"SIGKILL"}
    assert "did not end" in stderr
    assert_valid(folder, torn=1)
    counts = {"starts": len(started), "open": len(abandoned), "missing": len(missing)}
    report_figures(f"otel-ext run, kill {turn + 1}", **counts)
    assert not missing


def test_records_of_a_killed_process_are_read_without_recovery(tmp_path: Path) -> None:
    """`ps` shows the open spans of a folder without recovery: it reads the ring buffer itself."""
    text = """
    kept = [tracer.start_span(f"open {n}") for n in range(3)]
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(command(text, tmp_path), env=tree_env(), check=False, timeout=50)
    assert done.returncode == -signal.SIGKILL
    argv = ["otel-ext", "ps", "--json", str(tmp_path)]
    listed = subprocess.run(argv, env=tree_env(), capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stderr
    assert all(f"open {n}" in listed.stdout for n in range(3))
    assert records_in(tmp_path) == [] or records_in(tmp_path)[0].event == "process.start"
