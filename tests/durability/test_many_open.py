"""Programs that exit normally with very many spans open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_ext.journal.files import ends_with_process_end
from otel_ext.journal.recovery.recover import recover
from tests.durability.kit import (
    assert_ended_once,
    assert_valid,
    command,
    exit_seconds,
    read,
    read_line,
    recovered,
    recovered_in_child,
    tree_env,
)
from tests.figures import report_figures
from tests.programs import OTEL_EXT, execute, wait_until

MANY = """
    kept = []
    for number in range({count}):
        kept.append(tracer.start_span(f"open {{number % 7}}"))
        if number % 5000 == 0:
            handle.flush(20)
    handle.flush(20)
    {end}
"""
# 100,000 is the long form.
COUNT = int(os.environ.get("OPEN_SPANS", "30000"))
# No time at all for the open spans; records that wait are still written.
NO_TIME = "handle.processor.shutdown_by(0.0)"


def run(folder: Path, count: int, end: str = "", *, output: str = "") -> None:
    """Run a program that keeps `count` spans open and exits normally."""
    argv = command(MANY.format(count=count, end=end), output or folder)
    done = subprocess.run(argv, env=tree_env(), timeout=150, check=False)
    assert done.returncode == 0


def shown_by_ps(folder: Path) -> list[dict[str, object]]:
    """Return what `otel-ext ps --json` shows of a folder or a file."""
    done = execute([OTEL_EXT, "ps", folder, "--json"], cwd=folder.parent)
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_many_open_spans_all_have_an_end_after_an_exit_and_recovery(tmp_path: Path) -> None:
    """Recovery ends the spans that the exit had no time for: no start is without an end."""
    began = time.monotonic()
    run(tmp_path, COUNT)
    took = time.monotonic() - began
    files = tmp_path.glob("*.jsonl")
    before = sum(path.read_bytes().count(b'"phase":"end"') for path in files)
    starts, ends = recovered_in_child(tmp_path)
    report_figures(f"{COUNT:,} open", program=f"{took:.1f} s", ended_at_exit=before)
    assert len(set(starts)) == COUNT
    assert ends == sorted(set(starts))
    assert not shown_by_ps(tmp_path)


@pytest.mark.parametrize("output", ["", "one.jsonl"])
def test_spans_that_an_exit_has_no_time_for_are_shown_and_then_ended(
    tmp_path: Path, output: str
) -> None:
    """`ps` shows them as lost, recovery ends them with the cause `shutdown`, and only once."""
    folder = tmp_path / "traces"
    path = folder / output
    run(folder, 200, NO_TIME, output=str(path))
    shown = shown_by_ps(path)
    assert len(shown) == 200
    assert {span["state"] for span in shown} == {"lost"}
    found = recovered(folder)
    assert_ended_once(found)
    ends = found.phase("end")
    assert [end.abandoned for end in ends] == ["shutdown"] * 200
    assert not shown_by_ps(path)
    assert_valid(folder)


def test_a_process_end_with_open_spans_does_not_close_the_file(tmp_path: Path) -> None:
    """Though all lines are in the file and no ring buffer is left, recovery reads it."""
    run(tmp_path, 20, "handle.processor.tracker.reaper.abandon_all = lambda *a, **k: 0")
    (path,) = tmp_path.glob("*.jsonl")
    assert not (tmp_path / ".blackbox").exists()
    last = read(tmp_path).records[-1]
    assert (last.event, last.extra["open_spans"]) == ("process.end", 20)
    assert not ends_with_process_end(path)
    assert recover(tmp_path).spans == 20
    assert ends_with_process_end(path)


def test_spans_that_a_full_table_refused_are_ended_by_recovery(tmp_path: Path) -> None:
    """The program does not watch them, so only their file shows which are open."""
    text = """
    handle.shutdown()
    handle = otel_ext.configure(output=sys.argv[1], console="off", max_open_spans=2)
    kept = [tracer.start_span(f"open {n}") for n in range(5)]
    kept[4].end()
    """
    done = subprocess.run(command(text, tmp_path), env=tree_env(), timeout=50, check=False)
    assert done.returncode == 0
    found = recovered(tmp_path)
    assert_ended_once(found)
    assert len(found.phase("start")) == 5


HANGING = """
    import json
    notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
    os.close(2)  # strace delays every write, also those to standard error
    kept = [tracer.start_span(f"open {{number % 7}}") for number in range({count})]
    began = time.monotonic()
    {action}
    ended = time.monotonic()
    os.pwrite(notes, json.dumps([os.getpid(), ended - began, ended]).encode(), 0)
"""
# The same with the SDK alone.
ALONE = """\
import json, os, sys, time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("alone")
kept = [tracer.start_span(f"open {number % 7}") for number in range(int(sys.argv[1]))]
print(time.monotonic(), flush=True)
"""


@pytest.mark.storm
@pytest.mark.needs("strace")
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("action", "limit"),
    [("handle.drain()", 2.0), ("handle.shutdown(timeout=5.0)", 5.0), ("pass", 0.0)],
)
def test_a_blocked_disk_and_very_many_open_spans_do_not_add_up(
    tmp_path: Path, action: str, limit: float
) -> None:
    """One deadline holds for flush, open spans and files; the exit takes 2 s beyond the SDK's."""
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
    inject = ["-e", "trace=write,fdatasync", "-e", "inject=write,fdatasync:delay_enter=100s"]
    notes = tmp_path / "notes"
    argv = command(HANGING.format(action=action, count=COUNT), tmp_path / "traces", notes)
    with subprocess.Popen([*trace, *inject, *argv], env=tree_env()) as tracer:
        wait_until(lambda: notes.exists() and notes.stat().st_size, "the last note", 100.0)
        pid, took, ended = json.loads(notes.read_bytes())
        exit_took = exit_seconds(pid, ended)
        tracer.kill()
    argv = [sys.executable, "-c", ALONE, str(COUNT)]
    alone = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    with alone:
        ended = float(read_line(alone))
        alone_took = exit_seconds(alone.pid, ended)
    report_figures(
        f"blocked, {COUNT:,} open, {action}",
        took=f"{took:.2f} s",
        exit=f"{exit_took:.2f} s",
        sdk_alone=f"{alone_took:.2f} s",
    )
    # Neither waits for the disk, which holds up each call for longer; figures show both.
    assert took < limit + 30.0
    assert exit_took < alone_took + 30.0
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the last thread")
    starts, ends = recovered_in_child(tmp_path / "traces")
    # Records that the full ring buffer refused were counted; no start that it took is left open.
    assert set(starts) <= set(ends)
