"""The command `otel-ext` itself: help, version, and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli import registry as commands
from otel_ext.cli.main import main
from otel_ext.errors import UsageError
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from pathlib import Path


def test_help_lists_what_this_installation_has(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names every subcommand, and each has its module."""
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    for command in commands.COMMANDS:
        assert f"  {command.name:<10} {command.summary}" in page
        assert find_spec(command.module) is not None


def test_help_shows_examples_of_commands_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Each example of the help page starts with a subcommand that can be called."""
    main(["help"])
    page = capsys.readouterr().out
    examples = [line.split() for line in page.splitlines() if line.startswith("  otel-ext ")]
    assert examples
    assert {words[1] for words in examples} <= {c.name for c in commands.COMMANDS}


def test_without_arguments_the_help_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the exit code is 2, and the standard output stays empty."""
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "otel-ext COMMAND" in captured.err


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    import otel_ext  # noqa: PLC0415 - only this test needs it

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"otel-ext {otel_ext.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["rnu"], "otel-ext: there is no command 'rnu'. Did you mean run?"),
        (["--frobnicate"], "otel-ext: there is no option '--frobnicate'"),
        (["run", "--outptu", "x", "true"], "See otel-ext run --help"),
    ],
)
def test_a_mistake_is_one_line_with_a_hint(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command or option gives one line on stderr, no traceback, and exit code 2."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (UsageError("no such trace", hint="See otel-ext ps"), 2, "otel-ext: no such trace. See"),
        (PermissionError(13, "Permission denied", "/x"), 2, "otel-ext: /x: Permission denied"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_of_a_subcommand_become_exit_codes(
    error: BaseException,
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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
    assert main(["run"]) == code
    assert capsys.readouterr().err.startswith(expected)


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
    other = execute([sys.executable, "-m", "otel_ext", "--help"], cwd=tmp_path)
    assert one == other


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


def test_every_command_shows_its_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each subcommand can be imported and prints its help in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, commands.help_page(sys.stdout).splitlines())) <= 80
    for command in commands.COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command.name, "--help"])
        assert ended.value.code == 0
        page = capsys.readouterr().out
        assert f"otel-ext {command.name}" in page
        assert max(map(len, page.splitlines())) <= 80
