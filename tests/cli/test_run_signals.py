"""`otel-ext run` and signals: each reaches the program once, and we end as it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.programs import (
    environment,
    execute,
    python,
    recorded,
    spans_in,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

# Counts what it gets, so that a signal that arrives twice is seen.
COUNTING = """\
import signal, sys, time
from opentelemetry import trace
seen = []
signal.signal(signal.SIGCONT, lambda *_: print("continued", flush=True))
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT"):
    signal.signal(getattr(signal, name), lambda number, _: seen.append(number))
with trace.get_tracer("test").start_as_current_span("waiting"):
    print("ready", flush=True)
    end = time.monotonic() + 30
    while not seen and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)
print("got", *seen, flush=True)
sys.exit(5)
"""
SLEEPING = """\
import time
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("sleeping"):
    print("ready", flush=True)
    time.sleep(60)
"""


def output(folder: Path) -> str:
    """Return what a started program has printed so far."""
    return (folder / "output.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_us_reaches_the_program_once(tmp_path: Path, number: signal.Signals) -> None:
    """What a service manager sends to us is passed on, once, and the exit code comes back."""
    program = write_program(tmp_path, COUNTING)
    with started(recorded(tmp_path / "traces", *python(program)), cwd=tmp_path) as process:
        wait_until(lambda: "ready" in output(tmp_path), "the program starts")
        process.send_signal(number)
        assert process.wait(30) == 5
    assert f"got {int(number)}\n" in output(tmp_path)
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_we_end_by_the_signal_that_ended_the_program(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Who waits for us learns of the same signal, and the closing words name it."""
    code = f"import os, signal; signal.signal({number}, 0) if {number} not in (9,) else 0;"
    code += f"os.kill(os.getpid(), {int(number)})"
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path)
    assert done.code == -number
    assert f"ended by {number.name}" in done.err


def test_a_killed_program_leaves_its_open_span(tmp_path: Path) -> None:
    """After `kill -9` of the program the start is on record and the closing words count it."""
    program = write_program(
        tmp_path, SLEEPING.replace("time.sleep(60)", "import os; os.kill(os.getpid(), 9)")
    )
    done = execute(recorded(tmp_path / "traces", *python(program)), cwd=tmp_path)
    assert done.code == -signal.SIGKILL
    assert "1 span did not end" in done.err
    start, end = spans_in(tmp_path / "traces")
    assert (start.phase, end.phase, end.abandoned) == ("start", "end", "process-died")
    assert end.extra["signal"] == "SIGKILL"


def read_terminal(terminal: int, until: bytes, timeout: float = 30.0) -> bytes:
    """Return what appears on a terminal up to and including `until`."""
    seen = b""
    end = time.monotonic() + timeout
    while until not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
    assert until in seen, seen.decode(errors="replace")
    return seen


def on_terminal(command: list[str], cwd: Path) -> tuple[int, int]:
    """Start `command` as the foreground program of a new terminal; return pid and terminal."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        try:
            os.chdir(cwd)
            os.execve(command[0], command, environment(TERM="xterm"))  # noqa: S606 - as a shell would
        finally:
            os._exit(99)
    return pid, terminal


def ending(pid: int) -> int:
    """Wait for a process and return its exit code, or minus the signal."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    message = "the program did not end"
    raise AssertionError(message)


def test_ctrl_c_in_a_terminal_arrives_once(tmp_path: Path) -> None:
    """Ctrl-C goes to the program directly; it is not sent a second time."""
    program = write_program(tmp_path, COUNTING)
    pid, terminal = on_terminal(recorded(tmp_path / "traces", *python(program)), tmp_path)
    read_terminal(terminal, b"ready")
    os.write(terminal, b"\x03")
    read_terminal(terminal, b"got 2\r\n")
    read_terminal(terminal, b"otel-ext: next:")
    assert ending(pid) == 5
    os.close(terminal)


def test_ctrl_c_of_a_plain_program_is_ctrl_c_for_the_shell(tmp_path: Path) -> None:
    """A program that Ctrl-C ends makes us end by SIGINT, so that a shell's loop stops too."""
    program = write_program(tmp_path, SLEEPING)
    pid, terminal = on_terminal(recorded(tmp_path / "traces", *python(program)), tmp_path)
    read_terminal(terminal, b"ready")
    os.write(terminal, b"\x03")
    read_terminal(terminal, b"ended by SIGINT")
    assert ending(pid) == -signal.SIGINT
    os.close(terminal)
    # The context manager ended the span on the way out.
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


def test_ctrl_z_stops_both_and_they_continue(tmp_path: Path) -> None:
    """Under a shell's job control Ctrl-Z stops the program and us, and `fg` continues both."""
    program = write_program(tmp_path, COUNTING)
    script = 'set -m; "$@"; echo stopped-$?; fg; echo ended-$?'
    shell = ["/bin/sh", "-c", script, "sh", *recorded(tmp_path / "traces", *python(program))]
    pid, terminal = on_terminal(shell, tmp_path)
    read_terminal(terminal, b"ready")
    os.write(terminal, b"\x1a")
    read_terminal(terminal, f"stopped-{128 + signal.SIGTSTP}".encode())
    read_terminal(terminal, b"continued")
    os.write(terminal, b"\x03")
    read_terminal(terminal, b"ended-5")
    assert ending(pid) == 0
    os.close(terminal)


def test_live_records_appear_in_a_terminal(tmp_path: Path) -> None:
    """On a terminal a running span is shown while it runs, without any setting."""
    program = write_program(tmp_path, SLEEPING)
    pid, terminal = on_terminal(recorded(tmp_path / "traces", *python(program)), tmp_path)
    read_terminal(terminal, b"sleeping")
    os.kill(pid, signal.SIGTERM)
    assert ending(pid) == -signal.SIGTERM
    os.close(terminal)


def test_an_ignored_sigchld_does_no_harm(tmp_path: Path) -> None:
    """A parent that ignores SIGCHLD leaves that to us; the end is noticed all the same."""
    command = recorded(tmp_path / "traces", *python("-c", "raise SystemExit(4)"))
    shell = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        f"os.execv({command[0]!r}, {command!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", shell], cwd=tmp_path, env=environment(), timeout=30, check=False
    )
    assert done.returncode == 4
