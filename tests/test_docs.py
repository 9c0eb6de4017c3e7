"""Every snippet in the README and the guides runs unchanged."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from otel_ext.cli.registry import COMMANDS
from tests.guides import is_guide
from tests.pages import Block, blocks_of, guide_pages, run_in_shell
from tests.programs import EVERYTHING, EXAMPLES, ROOT, python, succeed
from tests.tree import checkout

if TYPE_CHECKING:
    from pathlib import Path

# Other tests run the blocks of these pages.
ELSEWHERE: Final = {"docs/configuration.md", "docs/record-format.md"}
COMMAND: Final = re.compile(r"^\$ (.*)$", re.MULTILINE)
APP: Final = """\
import time
from opentelemetry import trace

with trace.get_tracer("app").start_as_current_span("work"):
    time.sleep(0.1)
"""


BLOCKS: Final = [
    block for page in guide_pages() for block in blocks_of(page) if block.page not in ELSEWHERE
]
PYTHON: Final = [block for block in BLOCKS if block.language == "python"]
# Guides are run as a whole, by test_guides.py.
CONSOLE: Final = [
    block for block in BLOCKS if block.language == "console" and not is_guide(ROOT / block.page)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with what a reader has: the examples, and a program called app.py."""
    here = tmp_path / "here"
    shutil.copytree(EXAMPLES, here / "examples")
    (here / "app.py").write_text(APP, "utf-8")
    return here


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_python_snippets_run(block: Block, folder: Path) -> None:
    """A Python snippet runs to its end without a warning or a message of otel-ext."""
    command = python("-W", "error", "-c", block.text)
    done = succeed(command, folder, **EVERYTHING, TMPDIR=str(folder))
    assert "Traceback" not in done.err
    assert "otel-ext:" not in done.err, done.err


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.name)
def test_console_snippets_run(block: Block, folder: Path) -> None:
    """The commands of a console block run one after the other without a failure."""
    commands = [c for c in COMMAND.findall(block.text) if not c.startswith("make ")]
    assert commands or "$ make " in block.text, "a console block without a command"
    if not commands:
        makefile = (ROOT / "Makefile").read_text("utf-8")
        for target in re.findall(r"^\$ make (\S+)", block.text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
        return
    text = "set -e -o pipefail\n" + "\n".join(commands) + "\n"
    done = run_in_shell(text, folder, 50, TMPDIR=str(folder))
    assert done.code == 0, done.out
    assert "Traceback" not in done.out


def test_every_command_is_in_the_docs() -> None:
    """The README or the guides mention each subcommand."""
    text = "\n".join(page.read_text("utf-8") for page in guide_pages())
    for command in COMMANDS:
        assert f"otel-ext {command.name}" in text or f"`{command.name}`" in text, command.name


def test_links_between_pages_work() -> None:
    """A link to another page of the documentation names a file that exists."""
    for page in guide_pages():
        # In the checkout, since links point to code as well.
        folder = checkout() / page.parent.relative_to(ROOT)
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
            assert (folder / target).exists(), f"{page.name}: {target}"


def test_every_command_has_its_section() -> None:
    """Each subcommand has a section, with an example that the test of the guide runs."""
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    sections = dict(
        re.findall(r"^## `otel-ext (\S+)`.*\n(?s:(.*?))(?=^## |\Z)", text, re.MULTILINE)
    )
    names = {command.name for command in COMMANDS}
    assert not names - set(sections), "docs/commands.md lacks a section for these"
    assert not set(sections) - names, "docs/commands.md has a section without a command"
    for name, section in sections.items():
        assert f"otel-ext {name}" in section, name
        assert "```console" in section, name
