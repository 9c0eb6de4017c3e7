"""`--json` of every command is UTF-8 in any locale."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from otel_ext.cli.registry import COMMANDS
from tests.cli.written import DEAD, event, span, write
from tests.commands import call
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.watched import Shop
    from tests.programs import Done

# The folder of the shop has a non-ASCII name.
WORDS = {
    "ps": ("traces",),
    "top": ("--once", "traces"),
    "dump": ("traces",),
    "events": ("traces",),
    "tree": ("traces",),
    "waterfall": ("traces",),
    "grep": ("name:*", "traces"),
    "analyze": ("traces",),
    "critical-path": ("traces",),
    "diff": ("traces", "traces"),
    "tail": ("--no-follow", "--lines=1000", "../möbel0/traces"),
    "doctor": ("traces",),
    "validate": ("../möbel0/traces",),
    "recover": ("../möbel0/traces",),
    "rebuild": ("../möbel0/traces",),
    "config": (),
}
# The output of these does not contain the folder's name, or need not.
WITHOUT = {"tree", "waterfall", "grep", "analyze", "critical-path", "diff", "tail", "events"}
# The output of these is one JSON value on several lines.
INDENTED = {"validate", "tree", "waterfall", "analyze", "critical-path", "diff"}
# These have no output of their own, or one that is JSON, CSV or HTML anyway.
NO_JSON = {"run", "serve", "mcp", "report", "export", "convert"}
# These read no records; tests/flags has the same tests of them.
ELSEWHERE = {"flags"}


def test_every_command_with_json_is_here() -> None:
    """All commands have --json, except those without an output for people."""
    assert {*WORDS, *NO_JSON, *ELSEWHERE} == {command.name for command in COMMANDS}


def assert_is_utf8(command: str, done: Done) -> None:
    """Check that the output is JSON in UTF-8, with non-ASCII names as they are."""
    assert "Traceback" not in done.err
    assert "ö" in done.out or command in WITHOUT
    assert "\\x" not in done.out
    for line in done.out.splitlines() if command not in INDENTED else [done.out]:
        json.loads(line)


@pytest.mark.parametrize("command", WORDS)
def test_json_is_utf8_in_any_locale(open_shop: Shop, command: str) -> None:
    """Non-ASCII names are UTF-8 in the JSON, even if stream and locale are set to ASCII."""
    words = (command, "--json", *WORDS[command])
    done = call(*words, cwd=open_shop.folder, encoding="ascii", OTEL_EXT_OUTPUT="möbel")
    assert_is_utf8(command, done)
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    variables = environment(OTEL_EXT_OUTPUT="möbel", **ascii_only)
    done = execute([OTEL_EXT, *words], cwd=open_shop.folder, env=variables)
    assert_is_utf8(command, done)


@pytest.mark.parametrize("command", [name for name in WORDS if name != "config"])
def test_a_folder_name_that_is_not_utf8_is_read(tmp_path: Path, command: str) -> None:
    """A folder is read even if JSON and the terminal cannot show its name."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write(folder, DEAD, span("pay", 2), event("pay", 3), raw=b"damage\n")
    words = [folder if word.endswith("traces") else word for word in WORDS[command]]
    people = call(command, *words)
    programs = call(command, "--json", *words)
    for done in (people, programs):
        assert "pay" in done.out or command in {"doctor", "validate", "recover", "rebuild"}
    if command != "tail":
        json.loads(programs.out)
