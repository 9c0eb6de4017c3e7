"""Commands that the documentation shows and tests do not run: all names in them exist."""

from __future__ import annotations

import subprocess
from typing import Final

import pytest

from tests.pages import Block, all_pages, blocks_of
from tests.programs import ROOT
from tests.shell_blocks import Typed, commands, problem_of

BLOCKS: Final = [block for page in all_pages() for block in blocks_of(page)]
SHELL: Final = [block for block in BLOCKS if block.language == "sh"]
# Languages whose blocks some test checks; `text` is output, or a drawing. `py` and `pycon` are
# signatures and doctests, which test_reference_pages.py compares with the code.
LANGUAGES: Final = {"console", "json", "py", "pycon", "python", "sh", "text", "toml"}
# Pages whose `console` and `python` blocks test_docs.py and test_guides.py run.
RUN: Final = {"README.md", "docs"}


def test_there_are_commands() -> None:
    """The pages with commands are found."""
    assert {block.page for block in SHELL} >= {"README.md", "CONTRIBUTING.md", "docs/otlp.md"}


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_a_shell_can_parse_it(block: Block) -> None:
    """The block is valid for a shell, and has a command."""
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    assert commands(block.text)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_names_in_commands_exist(block: Block) -> None:
    """Subcommands, options, variables, extras, packages, targets and files exist."""
    for typed in commands(block.text):
        assert not problem_of(typed, ROOT / block.page), typed


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("otel-ext rnu app.py", "otel-ext has no command ['rnu']"),
        ("otel-ext run --ouput x -- python app.py", "otel-ext run has no ['--ouput']"),
        ("otel-ext validate --max x", "validate"),
        ("otel-ext tree --color", "otel-ext tree has no ['--color']"),
        ("otel-ext run -- pyhton app.py", "there is no program pyhton"),
        ("OTEL_EXT_OUPUT=x otel-ext run app.py", "there is no variable OTEL_EXT_OUPUT"),
        ("opentelemetry-instrument --ext_ouput x python app.py", "has no --ext_ouput"),
        ("pip install otel-ext flask", "otel-ext is on no index"),
        ("pip install '.[yml]'", "there is no extra ['yml']"),
        ("pip install . no-such-package", "there is no package no-such-package"),
        ("pip install -c nowhere.txt .", "no such file of constraints"),
        ("make tset", "there is no target tset"),
        ("python examples/no_such.py", "there is no examples/no_such.py"),
        ("python -m pytest tests/no_such", "there is no tests/no_such"),
        ("python -m no_such_module", "there is no module no_such_module"),
    ],
)
def test_a_mistake_is_found(line: str, problem: str) -> None:
    """The check reports a name that is misspelt."""
    [typed] = commands(line)
    assert isinstance(typed, Typed)
    assert problem in problem_of(typed, ROOT / "README.md")


def test_every_block_is_checked() -> None:
    """Each block is in a language, and on a page, that some test checks."""
    for block in BLOCKS:
        assert block.language in LANGUAGES, block.name
        if block.language in {"console", "python"}:
            assert block.page.split("/")[0] in RUN, block.name
        if block.language in {"py", "pycon"}:
            assert block.page.startswith("docs/reference/"), block.name
