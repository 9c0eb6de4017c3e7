"""The soak: load, a disk that blocks, stops, clock steps.

Short by default, since every run of the tests has it; `SOAK_SECONDS=120` in the environment
makes it two minutes, and `make soak` is eight hours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import cast

import pytest

from tests.durability.kit import ROOT, plain
from tests.figures import report_figures

SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
RATE = 5_000.0


@pytest.mark.slow
@pytest.mark.timeout(180 + int(SECONDS))
@pytest.mark.needs("cc")
def test_a_blocked_sink_costs_neither_memory_nor_the_account() -> None:
    """At 5,000 spans a second memory stays flat, and nobody living is given up.

    accepted = written + dropped exactly, at the end.
    """
    program = ROOT / "tests" / "soak" / "blocked_sink.py"
    done = subprocess.run(
        [sys.executable, str(program), str(SECONDS), str(RATE)],
        env=plain(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    told = cast("dict[str, object]", json.loads(done.stdout))
    report_figures(f"soak of {SECONDS:.0f} s at {RATE:,.0f} spans/s", **told)
    assert told["wrong"] == [], done.stderr
    assert done.returncode == 0
    assert cast("int", told["spans_per_second"]) >= 0.9 * RATE
    assert told["dropped"], "the disk was never blocked for long enough"
