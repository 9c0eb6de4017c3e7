"""The soak: load with a disk that blocks, a process that is stopped, and clock steps.

Short by default, since every run of the tests includes it; `SOAK_SECONDS=120` in the
environment makes it two minutes, and `make soak` takes eight hours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import cast

import pytest

from tests.durability.kit import ROOT, tree_env
from tests.figures import report_figures

SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
RATE = 5_000.0


@pytest.mark.storm
@pytest.mark.timeout(180 + int(SECONDS))
@pytest.mark.needs("cc")
def test_a_blocked_disk_costs_no_memory_and_all_records_are_counted() -> None:
    """At 5,000 spans a second memory stays flat, and no span of the living process is abandoned.

    At the end accepted = written + dropped exactly.
    """
    program = ROOT / "tests" / "soak" / "blocked_sink.py"
    done = subprocess.run(
        [sys.executable, str(program), str(SECONDS), str(RATE)],
        env=tree_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = cast("dict[str, object]", json.loads(done.stdout))
    report_figures(f"soak of {SECONDS:.0f} s at {RATE:,.0f} spans/s", **report)
    assert report["wrong"] == [], done.stderr
    assert done.returncode == 0
    assert report["dropped"], "the disk was never blocked for long enough"
