"""The worker and the owners of spans after gevent has patched everything."""

from __future__ import annotations

import pytest

from tests.inflight.tracking import run_program


def test_under_gevent_the_worker_is_a_thread_and_greenlets_are_owners() -> None:
    """The worker runs beside a program that does not yield, and detects dead greenlets."""
    pytest.importorskip("gevent")
    assert run_program("under_gevent.py").document == {
        "is_gevent": True,
        "runs while the program is busy": True,
        "abandoned": ["owner-died"],
        "abandoned while alive": 0,
        "stopped": True,
        "ensured again": True,
    }
