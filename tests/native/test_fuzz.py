"""A short form of `make fuzz`: random spans give the same lines, compiled or not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from otel_ext._accel import load_speed
from tests.programs import execute

FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_spans_are_recorded_alike(seed: int, tmp_path: Path) -> None:
    """A thousand random spans of each seed: as is, in compat mode, and redacted."""
    done = execute([sys.executable, FUZZ, "1000", str(seed)], cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "1,000 of 1,000 spans" in done.out
