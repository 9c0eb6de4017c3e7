"""Spans that start and end where locks may be held: finalizers, signal handlers, log handlers."""

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
    """Run one of the programs with a watchdog that prints all stacks should it hang."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(program), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.slow
def test_finalizers_signal_handlers_and_log_handlers_use_spans_at_once() -> None:
    """All of them together, beside busy threads, never hang, and every span is accounted for."""
    told = run(PROGRAMS / "everywhere.py", "3")
    assert told["hung"] is False
    assert told["started"] == told["ended"]
    assert told["open"] == 0
    assert int(str(told["signals"])) > 10
    assert int(str(told["finalizers"])) > 10
    assert int(str(told["logs"])) > 10


@pytest.mark.slow
def test_a_hundred_forks_under_load() -> None:
    """Children forked beside busy threads start, work and end; the long form is `make chaos`."""
    told = run(ROOT / "tests" / "chaos" / "fork_loop.py", "100")
    assert told == {"forks": 100, "failed": 0, "hung": 0}


def test_under_gevent_the_worker_is_a_thread_and_greenlets_are_owners() -> None:
    """With everything patched the worker runs beside a busy program, and finds dead greenlets."""
    pytest.importorskip("gevent")
    told = run(PROGRAMS / "under_gevent.py")
    assert told == {
        "is_gevent": True,
        "runs while the program is busy": True,
        "abandoned": ["owner-died"],
        "abandoned while alive": 0,
        "stopped": True,
        "ensured again": True,
    }
