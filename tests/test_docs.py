"""Every snippet in the README and the guides runs unchanged."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from otel_ext.cli.registry import COMMANDS
from tests.guides import is_guide
from tests.programs import started
from tests.tree import checkout

ROOT: Final = Path(__file__).parent.parent
# Other tests run the blocks of these pages.
ELSEWHERE: Final = {"docs/configuration.md", "docs/record-format.md"}
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND: Final = re.compile(r"^\$ (.*)$", re.MULTILINE)
APP: Final = """\
import time
from opentelemetry import trace

with trace.get_tracer("app").start_as_current_span("work"):
    time.sleep(0.1)
"""


class Snippet(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str


def _snippets() -> list[Snippet]:
    found: list[Snippet] = []
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")]):
        page = path.relative_to(ROOT).as_posix()
        text = path.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Snippet(page, line, match[1], match[2]))
    return found


SNIPPETS: Final = _snippets()
PYTHON: Final = [s for s in SNIPPETS if s.language == "python" and s.page not in ELSEWHERE]
# Guides are run as a whole, by test_guides.py.
CONSOLE: Final = [
    s
    for s in SNIPPETS
    if s.language == "console" and s.page not in ELSEWHERE and not is_guide(ROOT / s.page)
]


def _name(snippet: Snippet) -> str:
    return f"{snippet.page}:{snippet.line}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with what a reader has: the examples, and a program called app.py."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "app.py").write_text(APP, "utf-8")
    return tmp_path


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PYTHON"))}
    # For a reader, the environment with otel-ext is active.
    scripts = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{scripts}{os.pathsep}{kept['PATH']}", "TMPDIR": str(folder)}


@pytest.mark.parametrize("snippet", PYTHON, ids=_name)
def test_python_snippets_run(snippet: Snippet, folder: Path) -> None:
    """A Python snippet runs to its end without a warning or a message of otel-ext."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet.text],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "otel-ext:" not in done.stderr, done.stderr


@pytest.mark.parametrize("snippet", CONSOLE, ids=_name)
def test_console_snippets_run(snippet: Snippet, folder: Path) -> None:
    """The commands of a console block run one after the other without a failure."""
    commands = [c for c in COMMAND.findall(snippet.text) if not c.startswith("make ")]
    assert commands or "$ make " in snippet.text, "a console block without a command"
    if not commands:
        makefile = (ROOT / "Makefile").read_text("utf-8")
        for target in re.findall(r"^\$ make (\S+)", snippet.text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
        return
    # A file, not `-c`: the commands' text must not appear in the command line of a process.
    script = folder / "typed.sh"
    script.write_text("set -e -o pipefail\n" + "\n".join(commands) + "\n", "utf-8")
    with started(["bash", script], cwd=folder, env=_environment(folder)) as shell:
        try:
            shell.wait(timeout=50)
        finally:  # what the commands have left in the background would go on
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    printed = (folder / "output.txt").read_text("utf-8")
    assert shell.returncode == 0, printed
    assert "Traceback" not in printed


def test_every_command_is_in_the_docs() -> None:
    """The README or the guides mention each subcommand."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    for command in COMMANDS:
        assert f"otel-ext {command.name}" in text or f"`{command.name}`" in text, command.name


def test_links_between_pages_work() -> None:
    """A link to another page of the documentation names a file that exists."""
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        # In the checkout, since links point to code as well.
        folder = checkout() / page.parent.relative_to(ROOT)
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
            assert (folder / target).exists(), f"{page.name}: {target}"
