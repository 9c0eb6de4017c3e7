"""The worker and the owners of spans after gevent has patched everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]


def run(program: Path, *arguments: str) -> dict[str, object]:
    """Run one of the programs with a watchdog that prints all stacks if it hangs."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(program), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_under_gevent_the_worker_is_a_thread_and_greenlets_are_owners() -> None:
    """The worker runs beside a program that does not yield, and detects dead greenlets."""
    pytest.importorskip("gevent")
    result = run(PROGRAMS / "under_gevent.py")
    assert result == {
        "is_gevent": True,
        "runs while the program is busy": True,
        "abandoned": ["owner-died"],
        "abandoned while alive": 0,
        "stopped": True,
        "ensured again": True,
    }
