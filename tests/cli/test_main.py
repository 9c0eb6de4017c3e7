"""The command `otel-ext` itself: help, version, and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

import otel_ext
from otel_ext.cli import registry as commands
from otel_ext.errors import UsageError
from tests.commands import call
from tests.programs import OTEL_EXT, environment, execute, python

if TYPE_CHECKING:
    from pathlib import Path


def test_help_lists_what_this_installation_has() -> None:
    """`--help` names every subcommand, each with its module, and examples of such commands."""
    done = call("--help")
    assert done == call("help")
    assert done.code == 0
    lines = {" ".join(line.split()) for line in done.out.splitlines()}
    for command in commands.COMMANDS:
        assert f"{command.name} {command.summary}" in lines
        module = command.name.replace("-", "_")
        assert find_spec(f"otel_ext.cli.commands.{module}") is not None
    examples = [line.split() for line in done.out.splitlines() if line.startswith("  otel-ext ")]
    assert examples
    assert {words[1] for words in examples} <= {c.name for c in commands.COMMANDS}


def test_without_arguments_the_help_goes_to_stderr() -> None:
    """Without a command the exit code is 2, and the standard output stays empty."""
    done = call()
    assert (done.code, done.out) == (2, "")
    assert "otel-ext COMMAND" in done.err


def test_version_is_that_of_the_distribution() -> None:
    """`--version` prints name and version."""
    assert call("--version") == (0, f"otel-ext {otel_ext.__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["rnu"], "otel-ext: there is no command 'rnu'. Did you mean run?"),
        (["--frobnicate"], "otel-ext: there is no option '--frobnicate'"),
        (["run", "--outptu", "x", "true"], "See otel-ext run --help"),
        (["grep", "-error"], "there is no option '-error'. To search for what is not so, write"),
        (["grep", "-name:x", "traces"], "write 'not name:x', or -- before it"),
        (["grep", "--frobnicate", "x"], "no option '--frobnicate'. See otel-ext grep --help"),
        (["grep"], "the search is empty"),
    ],
)
def test_a_mistake_is_one_line_with_a_hint(argv: list[str], expected: str) -> None:
    """A wrong command or option gives one line on stderr, no traceback, and exit code 2."""
    done = call(*argv)
    assert expected in done.err
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (UsageError("no such trace", hint="See otel-ext ps"), 2, "otel-ext: no such trace. See"),
        (PermissionError(13, "Permission denied", "/x"), 2, "otel-ext: /x: Permission denied"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_of_a_subcommand_become_exit_codes(
    error: BaseException, code: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own errors and errors of files are one line each; Ctrl-C prints nothing."""

    class Failing:
        """A subcommand that fails."""

        def set_up(self, _parser: object) -> None:
            """It has no arguments."""

        def run(self, _args: object) -> int:
            raise error

    def load(_command: commands.Command) -> Failing:
        return Failing()

    monkeypatch.setattr("otel_ext.cli.main.load", load)
    done = call("run")
    assert done.code == code
    assert done.err.startswith(expected)


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    """If the standard output is a closed pipe, the command prints nothing and exits with 141."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [OTEL_EXT, "--help"],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_package_is_a_command_too(tmp_path: Path) -> None:
    """`python -m otel_ext` does what `otel-ext` does."""
    one = execute([OTEL_EXT, "--help"], cwd=tmp_path)
    assert one == execute(python("-m", "otel_ext", "--help"), cwd=tmp_path) == call("--help")


class _Terminal:
    """A stream to a terminal."""

    def isatty(self) -> bool:
        return True


def test_color_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets color unless NO_COLOR is set or TERM is `dumb`."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = _Terminal()
    assert "\x1b[" in commands.help_page(stream)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in commands.help_page(stream)  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" not in commands.help_page(stream)  # type: ignore[arg-type]


def test_every_command_shows_its_help() -> None:
    """Each subcommand can be imported and prints its help in 80 columns."""
    assert max(map(len, commands.help_page(sys.stdout).splitlines())) <= 80
    for command in commands.COMMANDS:
        done = call(command.name, "--help", COLUMNS="80")
        assert done.code == 0
        assert f"otel-ext {command.name}" in done.out
        assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("command", [one.name for one in commands.COMMANDS])
def test_the_help_of_a_command_fits_any_encoding(command: str) -> None:
    """It has an ellipsis and other signs."""
    done = call(command, "--help", encoding="ascii")
    assert done.code == 0
    assert f"usage: otel-ext {command}" in done.out
