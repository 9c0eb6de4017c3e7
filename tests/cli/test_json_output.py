"""`--json` of every command: UTF-8, whatever the locale of the terminal or the pipe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.watched import shop
from tests.programs import OTEL_EXT, environment, execute

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Give a folder with letters beyond ASCII in its name, and a program that runs in it."""
    folder = tmp_path_factory.mktemp("möbel")
    with shop(folder):
        yield folder


@pytest.mark.parametrize(
    "words",
    [
        ("ps", "--json", "traces"),
        ("top", "--json", "--once", "traces"),
        ("dump", "--json", "traces"),
        ("doctor", "--json", "traces"),
        ("validate", "--json", "../möbel0/traces"),
        ("tail", "--json", "--no-follow", "--lines=1000", "traces"),  # all of them
        ("recover", "--json", "traces"),
        ("config", "--json"),
    ],
    ids=lambda words: words[0],
)
def test_json_is_utf8_whatever_the_locale(folder: Path, words: tuple[str, ...]) -> None:
    """Names beyond ASCII stand in the JSON as UTF-8, though the stream is said to be ASCII."""
    variables = environment(PYTHONIOENCODING="ascii", OTEL_EXT_OUTPUT="möbel")
    done = execute([OTEL_EXT, *words], cwd=folder, env=variables)
    assert "ö" in done.out or words[0] == "recover"
    assert "\\x" not in done.out
    for line in done.out.splitlines() if words[0] != "validate" else [done.out]:
        json.loads(line)


@pytest.mark.parametrize("command", ["ps", "dump"])
def test_json_holds_status_process_and_attributes(folder: Path, command: str) -> None:
    """A program that reads the lines learns status, process and attributes."""
    done = execute([OTEL_EXT, command, "--json", "--name", "checkout", "traces"], cwd=folder)
    span = json.loads(done.out)
    assert span["attributes"]["user"] == "ann"
    assert span["process"]["command"] == "shop_one.py"
    assert span["status"] is None
