"""Runs the tests that fork in processes where no other test has left threads behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import tree
from tests.programs import environment, execute, python

TESTS = Path(__file__).parent
PYTEST = ("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no fork")


def run_alone(work: Path, *words: str | Path) -> str:
    """Run pytest in a process of its own, where each test has to pass; return its output."""
    env = environment()
    env.pop("PYTEST_XDIST_WORKER", None)
    command = python(*PYTEST, f"--basetemp={work}", *words)
    done = execute(command, cwd=TESTS.parent, env=env, timeout=280.0)
    assert done.code == 0, done.out + done.err
    assert "skipped" not in done.out
    return done.out


# Not measured: a child can hang on coverage's own lock, held by another thread at the fork.
@pytest.mark.timeout(300)
def test_tests_that_fork(tmp_path: Path) -> None:
    """Those marked `forks` pass."""
    mark = "pytest.mark.forks"
    files = [path for path in tree.python_files(TESTS) if mark in path.read_text(encoding="utf-8")]
    modules = [path for path in files if path.name.startswith("test_") and path != Path(__file__)]
    assert " passed" in run_alone(tmp_path / "work", "-m", "forks", *modules)


def test_forks_made_in_c(tmp_path: Path) -> None:
    """They pass in a process with no other thread."""
    tests = TESTS / "runtime" / "forks_without_hooks.py"
    assert "5 passed" in run_alone(tmp_path / "work", tests)
