"""Finds the pages of the documentation and their fenced blocks, and runs what readers type."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.programs import EVERYTHING, ROOT, Done, environment, started

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        page: Relative to the checkout.
        line: The line of its fence.
        language: The word after the fence.
        text: What is inside.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Page and line, as an editor finds them."""
        return f"{self.page}:{self.line}"


def guide_pages() -> list[Path]:
    """Return README.md and the pages below docs."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


def all_pages() -> list[Path]:
    """Return all pages, those beside programs too."""
    beside = [page for name in ("deploy", "examples") for page in ROOT.glob(f"{name}/**/*.md")]
    return [*guide_pages(), ROOT / "CONTRIBUTING.md", *sorted(beside)]


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _BLOCK.finditer(text)
    ]


def texts_of(page: Path, language: str) -> list[str]:
    """Return the texts of a page's blocks in a language."""
    return [block.text for block in blocks_of(page) if block.language == language]


def run_in_shell(text: str, cwd: Path, timeout: float, **variables: str) -> Done:
    """Run what a reader types, in an environment where otel-ext is installed.

    Args:
        text: The commands.
        cwd: The reader's folder.
        timeout: Seconds until they have to end; what they leave in the background is killed.
        variables: Environment variables.
    """
    # A file, not `-c`: the text must not appear in the command line of a process.
    script, output = cwd.parent / "typed.sh", cwd.parent / "typed.txt"
    script.write_text(text, "utf-8")
    env = environment(**EVERYTHING, **variables)
    with started(["bash", script], cwd=cwd, env=env, output=output) as shell:
        try:
            shell.wait(timeout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return Done(shell.returncode, output.read_text("utf-8"), "")
