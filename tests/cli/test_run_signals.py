"""`otel-ext run` and signals: each reaches the program once, and both end the same way."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.programs import execute, python, recorded, spans_in, started, wait_until
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.terminals import Terminal

# Prints every signal it gets, so that one that arrives twice is noticed.
COUNTING = """\
import os, signal, sys, time
from opentelemetry import trace
seen = []
# Not by print, which the signal may interrupt.
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"continued\\n"))
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
# Sleeps in short steps: Python handles a signal that arrives while it releases the interpreter
# lock, just before a sleep, only after that sleep.
SLEEPING = """\
import time
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("sleeping"):
    print("ready", flush=True)
    for _ in range(600):
        time.sleep(0.1)
"""


def printed(folder: Path) -> str:
    """Return what a started program has printed so far."""
    return (folder / "output.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_us_reaches_the_program_once(tmp_path: Path, number: signal.Signals) -> None:
    """A signal from a service manager is forwarded once, and the exit code is returned."""
    command = recorded(tmp_path / "traces", *python("-c", COUNTING))
    with started(command, cwd=tmp_path) as process:
        wait_until(lambda: "ready" in printed(tmp_path), "the program starts")
        process.send_signal(number)
        assert process.wait(30) == 5
    assert f"got {int(number)}\n" in printed(tmp_path)
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_we_end_by_the_signal_that_ended_the_program(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The parent sees the same signal, and the summary names it."""
    code = f"import os, signal; signal.signal({number}, 0) if {number} not in (9,) else 0;"
    code += f"os.kill(os.getpid(), {int(number)})"
    done = execute(recorded(tmp_path / "traces", *python("-c", code)), cwd=tmp_path)
    assert done.code == -number
    assert f"ended by {number.name}" in done.err


@pytest.mark.measured
@pytest.mark.parametrize("output", ["traces", "one.jsonl"])
def test_a_killed_program_leaves_its_open_span(tmp_path: Path, output: str) -> None:
    """After `kill -9` the open span has a start and an end with the signal, and is counted."""
    text = SLEEPING.replace("time.sleep(0.1)", "import os; os.kill(os.getpid(), 9)")
    done = execute(recorded(tmp_path / output, *python("-c", text)), cwd=tmp_path)
    assert done.code == -signal.SIGKILL
    assert "1 span did not end" in done.err
    start, end = spans_in(tmp_path / "traces" if output == "traces" else tmp_path)
    assert (start.phase, end.phase, end.abandoned) == ("start", "end", "process-died")
    assert end.extra["signal"] == "SIGKILL"


def terminal_running(text: str, folder: Path) -> AbstractContextManager[Terminal]:
    """Run a program under `otel-ext run` on a terminal."""
    return terminal_with(recorded(folder / "traces", *python("-c", text)), folder)


def test_ctrl_c_in_a_terminal_arrives_once(tmp_path: Path) -> None:
    """Ctrl-C goes to the program directly; it is not sent a second time."""
    with terminal_running(COUNTING, tmp_path) as terminal:
        terminal.read_until("ready")
        terminal.press("\x03")
        terminal.read_until("got 2\r\n")
        terminal.read_until("otel-ext: next:")
        assert terminal.process.wait(30) == 5


def test_ctrl_c_of_a_plain_program_is_ctrl_c_for_the_shell(tmp_path: Path) -> None:
    """If Ctrl-C ends the program, `run` ends by SIGINT too, so that a shell's loop stops."""
    with terminal_running(SLEEPING, tmp_path) as terminal:
        terminal.read_until("ready")
        terminal.press("\x03")
        terminal.read_until("ended by SIGINT")
        assert terminal.process.wait(30) == -signal.SIGINT
    # The context manager ended the span on the way out.
    assert [record.phase for record in spans_in(tmp_path / "traces")] == ["start", "end"]


@pytest.mark.measured
def test_ctrl_z_stops_both_and_they_continue(tmp_path: Path) -> None:
    """In a shell with job control Ctrl-Z stops the program and `run`, and `fg` continues both."""
    program = recorded(tmp_path / "traces", *python("-c", COUNTING))
    script = 'set -m; "$@"; echo stopped-$?; fg; echo ended-$?'
    with terminal_with(["/bin/sh", "-c", script, "sh", *program], tmp_path) as terminal:
        terminal.read_until("ready")
        terminal.press("\x1a")
        terminal.read_until(f"stopped-{128 + signal.SIGTSTP}")
        terminal.read_until("continued")
        terminal.press("\x03")
        terminal.read_until("ended-5")
        assert terminal.process.wait(30) == 0


def test_live_records_appear_in_a_terminal(tmp_path: Path) -> None:
    """On a terminal a span is printed when it starts, without any setting."""
    with terminal_running(SLEEPING, tmp_path) as terminal:
        terminal.read_until("sleeping")
        terminal.process.terminate()
        assert terminal.process.wait(30) == -signal.SIGTERM


def test_an_ignored_sigchld_does_no_harm(tmp_path: Path) -> None:
    """If the parent ignores SIGCHLD, `run` inherits that, and still notices the end."""
    command = recorded(tmp_path / "traces", *python("-c", "raise SystemExit(4)"))
    shell = (
        "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        f"os.execv({command[0]!r}, {command!r})"
    )
    assert execute(python("-c", shell), cwd=tmp_path).code == 4
