"""The soak in its short form: load, a disk that blocks, stops, clock steps."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import cast

import pytest

from tests.durability.kit import ROOT, plain
from tests.figures import figures

SECONDS = 20
RATE = 5_000


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.needs("cc", "faketime")
def test_a_blocked_sink_costs_neither_memory_nor_the_account() -> None:
    """Memory stays flat, accepted = written + dropped exactly, nobody living is given up."""
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
    figures("soak", **told)
    assert told["wrong"] == [], done.stderr
    assert done.returncode == 0
    assert told["dropped"], "the disk was never blocked for long enough"
