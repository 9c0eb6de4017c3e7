"""`make matrix` finds the Pythons of a machine, runs all tests with each, and summarises."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.programs import write_program
from tests.tree import checkout
from tools import matrix
from tools.run_tests import NOT_COMPILED

if TYPE_CHECKING:
    from pathlib import Path

NOT_HERE = "python3.12 is neither on the PATH nor in "


def add_python(folder: Path, version: str, answer: str = 'echo "$VERSION"') -> Path:
    """Write a fake interpreter of `version`, such as "3.13.10"."""
    short = ".".join(version.split(".")[:2])
    text = f"#!/bin/sh\nVERSION={short}\n{answer}\n"
    path = write_program(folder, text, f"versions/{version}/bin/python{short}")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return pyenv's folder, the only one with Pythons; the checkout is the working directory."""
    for name in matrix.SDKS.values():
        shutil.copy(checkout() / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "pyenv"


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Return the exit code of `make matrix` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["matrix", *words])
    return matrix.main()


def test_the_newest_of_pyenv_is_found(machine: Path) -> None:
    """3.13.10 is newer than 3.13.9, and one that does not start is ignored."""
    add_python(machine, "3.13.9")
    newest = add_python(machine, "3.13.10")
    add_python(machine, "3.13.11", answer="exit 1")
    assert matrix.choose([])["3.13"] == str(newest)
    assert matrix.choose([])["3.12"] is None


def test_a_requested_one_is_used_or_refused(machine: Path) -> None:
    """A version or a path selects an interpreter; an error has the way out."""
    here = str(add_python(machine, "3.13.1"))
    old = str(add_python(machine, "3.9.18"))
    assert matrix.choose(["3.13"]) == matrix.choose([here]) == {"3.13": here}
    for requested, message in {
        "3.12": f"--python 3.12: {NOT_HERE}{machine / 'versions'}; put it there, or name it",
        old: f"--python {old}: is Python 3.9; supported are 3.10, ",
        "nothing": "--python nothing: no version (3.10, ",
    }.items():
        with pytest.raises(SystemExit) as refusal:
            matrix.choose([requested])
        assert str(refusal.value).startswith(message)


def test_the_summary_has_counts_failures_and_pythons_not_found(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line for each Python and OpenTelemetry; a run that failed makes the exit code 1."""
    add_python(machine, "3.13.1")
    make = """\
        #!/bin/sh
        echo "make $*"
        echo "==== 20 passed, 1 skipped in 61.20s (0:01:01) ===="
        case "$*" in
        *oldest*) echo "2 failed, 3 passed in 0.10s"; exit 2 ;;
        *) echo "==> the compiled part was not built: only the plain one is tested"
           echo "5 passed in 0.10s" ;;
        esac
        """
    write_program(machine.parent, textwrap.dedent(make), "bin/make").chmod(0o755)
    assert run_main(monkeypatch) == 1
    newest, oldest = map(matrix.release_of, ("newest", "oldest"))
    printed = capfd.readouterr().out.splitlines()[-len(matrix.SUPPORTED) - 1 :]
    log = os.path.join("build", "matrix", "3.13-oldest.log")  # noqa: PTH118 - as it is printed
    counts = "23 passed, 2 failed, 1 skipped"
    assert f"Python 3.13, OpenTelemetry {oldest}: FAILED: {counts}: {log}" in printed
    assert f"Python 3.13, OpenTelemetry {newest}: 25 passed, 1 skipped; {NOT_COMPILED}" in printed
    assert sum(": not tested: " in line for line in printed) == len(matrix.SUPPORTED) - 1
    assert run_main(monkeypatch, "--python", "3.13", "--sdk", "newest") == 0


def test_without_any_python_the_exit_code_is_1(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a supported Python nothing was tested, which is not a success."""
    assert run_main(monkeypatch) == 1
    assert f"Python 3.12: not tested: {NOT_HERE}{machine}" in capfd.readouterr().out
