"""docs/reference agrees with the public names, their signatures and their docstrings."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import griffe
import pytest

from tests.programs import ROOT
from tests.tree import freeze
from tools.reference_pages import PAGES, main, package, public_names, render

if TYPE_CHECKING:
    from pathlib import Path

# It reads the source, and calls nothing of it.
pytestmark = pytest.mark.usefixtures("untraced")

FOLDER: Final = ROOT / "docs" / "reference"
MODULES: Final = [module for page in PAGES for module in page.modules]


@cache
def rendered() -> dict[str, str]:
    """Return the pages as they should be."""
    pages = render()
    freeze()
    return pages


def test_the_pages_are_up_to_date() -> None:
    """The committed pages are the generated ones; each has the command in a comment."""
    committed = {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()}
    assert committed == rendered(), "run: python -m tools.reference_pages docs/reference"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_section(module: str) -> None:
    """A heading of some page names each public name of a module."""
    headings = set(re.findall(r"^#+ `(\S+)`$", "\n".join(rendered().values()), re.MULTILINE))
    short = module.rpartition(".")[2]
    for name in public_names(module):
        assert {name, f"{short}.{name}"} & headings, name


def test_the_pages_hide_what_is_private() -> None:
    """No signature has a private name, an address in memory or a path of this machine."""
    for name, page in rendered().items():
        for block in re.findall(r"```py\n(.*?)```", page, re.DOTALL):
            assert not re.search(r"\b_[A-Za-z]| at 0x|/home/|/tmp/", block), (name, block)


def test_the_links_between_the_pages_work() -> None:
    """A link to a section of another page names one of its headings."""
    for page in rendered().values():
        for file, anchor in re.findall(r"\]\((\w+\.md)#(\w+)\)", page):
            headings = re.findall(r"^#+ `(\S+)`$", rendered()[file], re.MULTILINE)
            assert anchor in {heading.lower() for heading in headings}


def test_docstrings_describe_the_arguments() -> None:
    """The arguments in the docstring of a public name are those of its signature."""
    names = [(module, name) for module in MODULES for name in public_names(module)]
    for module, name in names:
        found = package().modules_collection[module].members[name]
        found = found.final_target if isinstance(found, griffe.Alias) else found
        if isinstance(found, griffe.Function):
            expected = {one.name for one in found.parameters}
        elif isinstance(found, griffe.Class) and "__init__" in found.members:
            expected = {one.name for one in found.parameters} - {"self"}
        else:
            continue
        sections = found.docstring.parse("google", warnings=False) if found.docstring else []
        described = {
            one.name.lstrip("*")
            for section in sections
            if isinstance(section, griffe.DocstringSectionParameters)
            for one in section.value
        }
        assert described in ({*expected}, set()), f"{module}.{name}"


def test_the_command_writes_the_pages(tmp_path: Path) -> None:
    """The command writes every page to the folder that its argument names."""
    assert main([str(tmp_path / "reference")]) == 0
    written = {file.name: file.read_text("utf-8") for file in (tmp_path / "reference").iterdir()}
    assert written == rendered()
