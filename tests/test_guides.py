"""The commands of each guide work, from first to last, and print what the page shows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.guides import commands, guides, missing, printed, script
from tests.pages import run_in_shell
from tests.programs import EXAMPLES, ROOT, free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.needs("curl", "jq")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", guides(), ids=lambda page: page.name)
def test_a_guide_can_be_followed(page: Path, tmp_path: Path) -> None:
    """Every command works, and prints the lines that the page shows below it."""
    folder = tmp_path / "folder"
    shutil.copytree(EXAMPLES, folder / "examples")
    typed = commands(page)
    # Wide enough for every table, and without colors, as on the page.
    looks = {"COLUMNS": "120", "NO_COLOR": "1"}
    code, output, _ = run_in_shell(script(typed, free_port()), folder, 100, **looks)
    assert code == 0, output
    assert "Traceback" not in output, output
    for number, command in enumerate(typed):
        absent = missing(command.shown, printed(output, number, len(typed)))
        assert not absent, f"after `{command.text}` the page shows {absent}, but:\n{output}"


def test_the_guides_are_listed() -> None:
    """The index of the guides has exactly the existing ones."""
    folder = ROOT / "docs" / "how-to"
    text = (folder / "README.md").read_text("utf-8")
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" in text} == pages
