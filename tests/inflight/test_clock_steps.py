"""The wall clock is set forward and back while spans are open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inflight.tracking import PROGRAMS
from tests.programs import ROOT, becomes_true, execute, python, started, wait_until

if TYPE_CHECKING:
    from pathlib import Path

STEPS = ("+0", "+2d", "-2d", "+40d", "-1h")


@pytest.mark.slow
@pytest.mark.needs("faketime")
def test_no_living_span_is_abandoned_when_the_clock_is_set(
    tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    """Days forward and back, beyond any age limit, expire no span whose owner lives."""
    clock, following = tmp_path / "clock", tmp_path / "following"
    clock.write_text(STEPS[0])
    fake = execute(["faketime", "-f", "+0", "printenv", "LD_PRELOAD"], cwd=tmp_path)
    variables = {
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": fake.out.strip(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Only the wall clock is set; the monotonic one goes on.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    command = python(PROGRAMS / "keeps_spans_open.py", "4")
    number = 0
    with started(command, cwd=tmp_path, env=plain_environ | variables) as program:
        output = tmp_path / "output.txt"
        wait_until(output.read_text, "the program begins")
        while not becomes_true(lambda: program.poll() is not None, 0.2):
            # In one step: newer versions of libfaketime end a program that finds it empty.
            following.write_text(STEPS[number % len(STEPS)])
            following.replace(clock)
            number += 1
    assert output.read_text().splitlines() == ["ready", "abandoned 0, open 12, 42 days"]
    assert number > len(STEPS)
