"""The commands of each guide work, from first to last, and print what the page shows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.guides import ROOT, commands, guides, missing, printed, script
from tests.programs import EVERYTHING, environment, free_port


def follow(page: Path, folder: Path) -> tuple[int, str]:
    """Run the commands of a guide; return the exit code and the output."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    typed = folder.parent / "typed.sh"
    typed.write_text(script(commands(page), free_port()), "utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Wide enough for every table, and without colors, as on the page.
    env = environment(**EVERYTHING, PATH=path, COLUMNS="120", NO_COLOR="1")
    with subprocess.Popen(
        ["bash", str(typed)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            output, _ = shell.communicate(timeout=100)
        finally:
            # Its servers too, in case the guide did not stop them.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return shell.returncode, output


@pytest.mark.slow
@pytest.mark.needs("curl", "jq")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", guides(), ids=lambda page: page.name)
def test_a_guide_can_be_followed(page: Path, tmp_path: Path) -> None:
    """Every command works, and prints the lines that the page shows below it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    code, output = follow(page, folder)
    assert code == 0, output
    assert "Traceback" not in output, output
    typed = commands(page)
    for number, command in enumerate(typed):
        absent = missing(command.shown, printed(output, number, len(typed)))
        assert not absent, f"after `{command.text}` the page shows {absent}, but:\n{output}"


def test_the_guides_are_listed() -> None:
    """The index of the guides has exactly the existing ones."""
    folder = ROOT / "docs" / "how-to"
    text = (folder / "README.md").read_text("utf-8")
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" in text} == pages
