"""What a stream can show: color, width, marks; and lines for streams that can show little."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from otel_ext.terminal.canvas import Canvas, is_terminal, size_of, terminal_size
from otel_ext.terminal.output import encoded, print_line, warn
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Broken(io.StringIO):
    """A stream whose every answer is an exception."""

    def isatty(self) -> bool:
        """Raise, as a closed stream does."""
        raise ValueError("closed")

    def write(self, _: str) -> int:
        """Raise, as a full disk does."""
        raise OSError("no space left on device")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.TextIOWrapper]:
    """Return a terminal of 61 columns and 17 lines."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    person, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 17, 61, 0, 0))
    with os.fdopen(program, "w", encoding="utf-8") as stream:
        yield stream
    os.close(person)


def test_the_size_is_that_of_the_stream(
    terminal: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream itself is asked, not the standard output; the variables have precedence."""
    assert size_of(terminal) == (61, 17)
    assert Canvas.of(terminal) == Canvas(61, color=True)
    monkeypatch.setenv("COLUMNS", "44")
    assert Canvas.of(terminal).width == 44
    for wrong in ("wide", "9" * 5_000):
        monkeypatch.setenv("COLUMNS", wrong)
        assert Canvas.of(terminal).width == 61


def test_a_stream_that_is_not_a_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor have a broken and a missing stream; any can be treated as a terminal."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for stream in (io.StringIO(), Broken(), None):
        assert not is_terminal(stream)
        assert Canvas.of(stream) == Canvas()
        assert terminal_size(stream, (100, 24)) == (100, 24)


@pytest.mark.parametrize(
    ("variables", "option", "expected"),
    [
        ({}, (), False),
        ({"FORCE_COLOR": "1"}, (), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
        ({"FORCE_COLOR": "1"}, ("--no-color",), False),
    ],
)
@pytest.mark.parametrize("name", ["config", "doctor"])
def test_commands_decide_about_color_as_the_console_does(
    tmp_path: Path,
    name: str,
    variables: dict[str, str],
    option: tuple[str, ...],
    expected: bool,
) -> None:
    """In a pipe there is color only by FORCE_COLOR; NO_COLOR and --no-color are stronger."""
    command = [OTEL_EXT, name, *option]
    done = execute(command, cwd=tmp_path, env=environment(**variables))
    assert ("\x1b[" in done.out) is expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis", "utf-8"])
@pytest.mark.parametrize("text", ["▶ käse …", "日本", "\ud800", "plain"])
def test_any_encoding_can_write_any_text(
    encoding: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an encoding lacks becomes an escape; with ASCII only, marks and branches are ASCII."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_line(text)
    stream.flush()
    assert raw.getvalue() == encoded(text, encoding) + b"\n"
    canvas = Canvas.of(stream)
    drawn = canvas.mark("start") + "".join(canvas.branches)
    assert drawn.encode(encoding)
    assert drawn.isascii() is (encoding != "utf-8")


def test_a_warning_is_one_safe_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning cannot write to the terminal more than its line, whatever is in it."""
    warn("process \x1b[2J\nevil")
    assert capsys.readouterr().err == "otel-ext: process \\x1b[2J\\nevil\n"


def test_a_full_standard_error_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command goes on if its warnings cannot be written."""
    monkeypatch.setattr(sys, "stderr", Broken())
    warn("the disk is full")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_full_standard_error_keeps_the_exit_code(tmp_path: Path, redirection: str) -> None:
    """`ps` without records ends with 1, whether or not its message can be written."""
    done = execute(["sh", "-c", f"{OTEL_EXT} ps {tmp_path} {redirection}"], cwd=tmp_path)
    assert done.code == 1
