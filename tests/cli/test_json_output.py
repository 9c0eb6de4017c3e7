"""`--json` of every command is UTF-8 in any locale."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.registry import COMMANDS
from tests.cli.test_ps_mistakes import DEAD, span, write
from tests.cli.watched import shop
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Return a folder with a non-ASCII name, in which a program runs."""
    folder = tmp_path_factory.mktemp("möbel")
    with shop(folder):
        yield folder


WORDS = {
    "ps": ("traces",),
    "top": ("--once", "traces"),
    "dump": ("traces",),
    "tree": ("traces",),
    "tail": ("--no-follow", "--lines=1000", "../möbel0/traces"),
    "doctor": ("traces",),
    "validate": ("../möbel0/traces",),
    "recover": ("../möbel0/traces",),
    "config": (),
}
# The output of these does not contain the folder's name, or need not.
WITHOUT = {"tree", "tail"}


def test_every_command_with_json_is_here() -> None:
    """All commands have --json except `run`, which has no output of its own."""
    assert {*WORDS, "run"} == {command.name for command in COMMANDS}


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.parametrize("command", WORDS)
def test_json_is_utf8_in_any_locale(folder: Path, command: str, locale: dict[str, str]) -> None:
    """Non-ASCII names are UTF-8 in the JSON, even if the stream is set to ASCII."""
    variables = environment(PYTHONIOENCODING="ascii", OTEL_EXT_OUTPUT="möbel", **locale)
    done = execute([OTEL_EXT, command, "--json", *WORDS[command]], cwd=folder, env=variables)
    assert "Traceback" not in done.err
    assert "ö" in done.out or command in WITHOUT
    assert "\\x" not in done.out
    for line in done.out.splitlines() if command not in {"validate", "tree"} else [done.out]:
        json.loads(line)


@pytest.mark.parametrize("command", [name for name in WORDS if name != "config"])
def test_a_folder_name_that_is_not_utf8_is_read(tmp_path: Path, command: str) -> None:
    """A folder is read even if JSON and the terminal cannot show its name."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir(mode=0o700)
    write(folder, DEAD, span("pay", 2), raw=b"damage\n")
    words = [word for word in WORDS[command] if word.startswith("-")]
    people = execute([OTEL_EXT, command, *words, folder], cwd=tmp_path)
    programs = execute([OTEL_EXT, command, *words, "--json", folder], cwd=tmp_path)
    for done in (people, programs):
        assert "Traceback" not in done.err
        assert "pay" in done.out or command in {"doctor", "validate", "recover"}
    if command != "tail":
        json.loads(programs.out)


@pytest.mark.parametrize("command", ["ps", "dump"])
def test_json_holds_status_process_and_attributes(folder: Path, command: str) -> None:
    """The lines contain status, process and attributes."""
    done = execute([OTEL_EXT, command, "--json", "--name", "checkout", "traces"], cwd=folder)
    span = json.loads(done.out)
    assert span["attributes"]["user"] == "ann"
    assert span["process"]["command"] == "shop_one.py"
    assert span["status"] is None
