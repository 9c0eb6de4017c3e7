"""Problems are reported once, on one line, whatever state the program is in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from otel_ext.runtime import guard
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from tests.programs import execute, write_program

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_problem_is_one_line_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """The line contains the component, the kind of error and its text."""
    report_problem("journal", OSError("disk full"))
    assert capfd.readouterr().err == "otel-ext: journal: OSError: disk full\n"


def test_each_kind_once_in_its_interval(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same component and kind is reported again only after the interval; others at once."""
    now = 100.0
    monkeypatch.setattr(guard, "monotonic", lambda: now)
    for _ in range(50):
        report_problem("a", OSError("first"))
    report_problem("a", ValueError("other kind"))
    report_problem("b", OSError("other component"))
    assert len(capfd.readouterr().err.splitlines()) == 3
    now += 60.0
    report_problem("a", OSError("again"))
    assert capfd.readouterr().err == "otel-ext: a: OSError: again\n"


def test_every_problem_is_counted() -> None:
    """A problem that is not reported is counted, too."""
    before = COUNTERS.value("problems")
    for _ in range(7):
        report_problem("counted", "again and again")
    assert COUNTERS.value("problems") - before == 7


def test_hostile_errors_are_reported_safely(capfd: pytest.CaptureFixture[str]) -> None:
    """Errors whose text raises, controls the terminal or is very long make one safe line."""

    class HostileError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    report_problem("a", HostileError())
    report_problem("b", ValueError("\x1b[2J\n\u202e\ud800"))
    report_problem("c\x1b", ValueError("x" * 100_000))
    report_problem("d", ValueError())
    output = capfd.readouterr().err
    lines = output.splitlines()
    assert lines[0] == "otel-ext: a: HostileError: <unprintable>"
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 700
    assert lines[3] == "otel-ext: d: ValueError"


def test_memory_is_bounded(capfd: pytest.CaptureFixture[str]) -> None:
    """Ever new kinds of problems do not fill memory."""
    for number in range(3_000):
        report_problem(f"component {number}", "problem")
    assert len(guard._next) <= 1_000  # noqa: SLF001 - its size is what is tested
    assert capfd.readouterr().err


def test_a_replaced_stderr_is_not_called(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The report goes to the descriptor, never to a stream that replaced stderr."""

    class Trap:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    monkeypatch.setattr(sys, "stderr", Trap())
    report_problem("trap", "not sprung")
    assert capfd.readouterr().err == "otel-ext: trap: not sprung\n"


def test_no_stderr_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stderr nothing is reported, and nothing raised."""
    monkeypatch.setattr(sys, "__stderr__", None)
    report_problem("no stderr", ValueError("x"))


def test_closed_stderr_and_unread_pipe(tmp_path: Path) -> None:
    """A program does not block when its stderr is closed, or a full pipe."""
    program = write_program(
        tmp_path,
        """
import os
from otel_ext.runtime import guard
guard._INTERVAL = 0
reader, writer = os.pipe()
os.dup2(writer, 2)
for number in range(5_000):
    guard.report_problem("unread", "x" * 400)
os.close(2)
guard.report_problem("closed", "x")
print("done")
""",
    )
    done = execute([sys.executable, program], cwd=tmp_path, timeout=20)
    assert (done.code, done.out) == (0, "done\n")
