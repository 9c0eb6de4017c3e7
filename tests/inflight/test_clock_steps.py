"""The wall clock is set forward and back while spans are open."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "keeps_spans_open.py"
ROOT = Path(__file__).parents[2]
STEPS = ("+0", "+2d", "-2d", "+40d", "-1h")


def library() -> str:
    """Return the library to preload, so that a program reads another clock."""
    asked = subprocess.run(
        ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


@pytest.mark.slow
@pytest.mark.needs("faketime")
def test_no_living_span_is_abandoned_when_the_clock_is_set(
    tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    """Days forward and back, beyond any age limit, expire no span whose owner lives."""
    clock = tmp_path / "clock"
    clock.write_text(STEPS[0])
    program = subprocess.Popen(
        [sys.executable, str(PROGRAM), "4"],
        stdout=subprocess.PIPE,
        text=True,
        env=plain_environ
        | {
            "PYTHONPATH": str(ROOT),
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            # Only the wall clock is set; the monotonic one goes on.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    number = 0
    while program.poll() is None:
        clock.write_text(STEPS[number % len(STEPS)])
        number += 1
        time.sleep(0.2)
    with program:
        output = program.stdout.read().splitlines()
    assert output == ["abandoned 0, open 12, 42 days"]
    assert number > len(STEPS)
