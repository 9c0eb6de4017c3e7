"""Records on a terminal: only on the original one, and only while it is visible."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from otel_ext.exporters import ConsoleExporter
from otel_ext.exporters.console.foreground import Terminal
from otel_ext.runtime.counters import COUNTERS
from tests.exporters.samples import end, start
from tests.programs import OTEL_EXT, environment, execute, python, write_program
from tests.terminals import terminal_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SPAN = """
import os, sys
import otel_ext
from opentelemetry import trace
def span(name):
    with trace.get_tracer("t").start_as_current_span(name):
        pass
"""


class Screen(NamedTuple):
    """A pseudo-terminal: the side that a person sees, and the program's descriptor."""

    person: int
    program: int

    def seen(self) -> str:
        """Return what has been written to it."""
        text = b""
        while select.select([self.person], [], [], 0.0)[0]:
            text += os.read(self.person, 65_536)
        return text.decode()


@pytest.fixture
def screen() -> Iterator[Screen]:
    """Return a terminal."""
    made = Screen(*pty.openpty())
    yield made
    for descriptor in made:
        with suppress(OSError):
            os.close(descriptor)


def on_a_terminal(command: Sequence[str], cwd: Path, **variables: str) -> str:
    """Run a command in a terminal of its own and return what a person sees."""
    env = environment(OTEL_EXT_CONFIG="/dev/null", TERM="xterm", COLUMNS="100", **variables)
    with terminal_with(command, cwd, env=env) as terminal:
        text = terminal.read_to_end()
    assert terminal.process.returncode == 0, text
    return text


def descriptors_of(screen: Screen) -> set[int]:
    """Return the descriptors of this process that refer to the program's side of it."""
    device = os.fstat(screen.program).st_rdev
    opened = [one for one in Path("/proc/self/fd").iterdir() if one.exists()]
    return {int(one.name) for one in opened if one.stat().st_rdev == device}


def test_nothing_goes_to_a_replacement_of_the_terminal(screen: Screen, tmp_path: Path) -> None:
    """While the descriptor is redirected lines are dropped; later ones appear again."""
    exporter = ConsoleExporter(Terminal(screen.program), style="people", color=False)
    exporter.export(start("first"))
    kept = os.dup(screen.program)
    other = os.open(tmp_path / "captured", os.O_WRONLY | os.O_CREAT)
    os.dup2(other, screen.program)
    dropped = COUNTERS.value("console.dropped.redirected")
    assert not exporter.is_seen()
    exporter.export(start("second"))
    assert COUNTERS.value("console.dropped.redirected") - dropped == 1
    os.dup2(kept, screen.program)
    exporter.export(start("third"))
    assert exporter.is_seen()
    assert exporter.force_flush(5_000)
    text = screen.seen()
    assert "first" in text
    assert "second" not in text
    assert "third" in text
    assert (tmp_path / "captured").read_bytes() == b""
    os.close(kept)
    os.close(other)


def test_a_program_that_draws_has_the_screen_to_itself(screen: Screen) -> None:
    """While the terminal is not in line mode lines are dropped; later ones appear again."""
    exporter = ConsoleExporter(Terminal(screen.program), style="people", color=False)
    exporter.export(start("first"))
    modes = termios.tcgetattr(screen.program)
    tty.setcbreak(screen.program)  # as curses and prompt_toolkit do
    exporter.export(start("second"))
    assert not exporter.is_seen()
    termios.tcsetattr(screen.program, termios.TCSANOW, modes)
    exporter.export(start("third"))
    assert exporter.is_seen()
    text = screen.seen()
    assert [name in text for name in ("first", "second", "third")] == [True, False, True]


def test_our_descriptor_is_not_used_after_the_program_reused_it(
    screen: Screen, tmp_path: Path
) -> None:
    """A program that closes all descriptors may reuse ours for a file, which gets no lines."""
    exporter = ConsoleExporter(Terminal(screen.program), style="people", color=False)
    exporter.export(start("first"))
    (ours,) = descriptors_of(screen) - {screen.program}
    assert not os.get_inheritable(ours)
    file = os.open(tmp_path / "data", os.O_WRONLY | os.O_CREAT)
    os.dup2(file, ours)
    exporter.export(end("second"))
    exporter.shutdown()
    del exporter
    assert (tmp_path / "data").read_bytes() == b""
    assert "second" in screen.seen()
    os.fstat(ours)  # the program's, and still open
    os.close(ours)
    os.close(file)


def test_a_closed_terminal_is_released(screen: Screen) -> None:
    """A program that closed the descriptor loses the lines, and nothing else."""
    exporter = ConsoleExporter(Terminal(screen.program), style="people")
    exporter.export(start("first"))
    os.close(screen.program)
    exporter.export(start("second"))
    assert not exporter.is_seen()
    assert exporter.force_flush(1_000)
    exporter.shutdown()


@pytest.mark.parametrize("stand_in", [None, object()])
def test_without_standard_error_there_is_no_terminal(
    stand_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is missing, or any object, is not a terminal."""
    monkeypatch.setattr(sys, "stderr", stand_in)
    assert Terminal.of_standard_error() is None


def test_configure_in_code_prints_nothing_unless_asked(tmp_path: Path) -> None:
    """On a terminal, `configure()` shows nothing; with `console="auto"` it shows the spans."""
    quiet = write_program(tmp_path, SPAN + "otel_ext.configure()\nspan('work')\n", "quiet.py")
    assert on_a_terminal(python(quiet), tmp_path) == ""
    asked = "otel_ext.configure(console='auto')\nspan('work')\n"
    shown = on_a_terminal(python(write_program(tmp_path, SPAN + asked, "shown.py")), tmp_path)
    assert "work" in shown


def test_run_shows_records_on_a_terminal_only(tmp_path: Path) -> None:
    """Under `otel-ext run` spans appear on a terminal, not in a pipe nor in a capture of fd 2."""
    captured = """
span("seen")
saved = os.dup(2)
os.dup2(os.open("captured", os.O_WRONLY | os.O_CREAT), 2)
span("hidden")
os.dup2(saved, 2)
span("again")
"""
    program = write_program(tmp_path, SPAN + captured)
    command = [OTEL_EXT, "run", *python(program)]
    shown = on_a_terminal(command, tmp_path)
    assert "seen" in shown
    assert "again" in shown
    assert "hidden" not in shown
    assert (tmp_path / "captured").read_bytes() == b""
    piped = execute(command, cwd=tmp_path, env=environment(OTEL_EXT_CONFIG="/dev/null"))
    assert "seen" not in piped.err
    assert "seen" not in on_a_terminal(command, tmp_path, OTEL_EXT_CONSOLE="off")


def test_pytest_captures_nothing_of_ours(tmp_path: Path) -> None:
    """`otel-ext run -- pytest` in a terminal: tests that check standard error pass."""
    test = (
        SPAN
        + "def test_capfd(capfd):\n    span('compute')\n    assert capfd.readouterr() == ('', '')\n"
    )
    write_program(tmp_path, test, "test_it.py")
    command = [OTEL_EXT, "run", *python("-m", "pytest", "-q", "-p", "no:cacheprovider")]
    variables = {"NO_COLOR": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert "1 passed" in on_a_terminal(command, tmp_path, **variables)
