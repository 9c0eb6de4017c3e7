"""Runs the tests of forks made in C in a process with no other thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.programs import execute, python


@pytest.mark.skipif(os.name != "posix", reason="there is no fork")
def test_forks_made_in_c(tmp_path: Path) -> None:
    """Each test passes, and none is skipped."""
    tests = Path(__file__).with_name("forks_without_hooks.py")
    words = ["-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = execute(python(*words, f"--basetemp={tmp_path / 'work'}", tests), cwd=tests.parents[2])
    assert done.code == 0, done.out + done.err
    assert "5 passed" in done.out
    assert "skipped" not in done.out
