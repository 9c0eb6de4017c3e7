"""An operation that is killed at random moments misses no step, and repeats few."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from otel_ext.context import last_checkpoint
from tests.programs import ROOT, python, succeed

PROGRAM: Final = Path(__file__).with_name("programs") / "killed_steps.py"


@pytest.mark.parametrize(
    ("kills", "seed"), [(10, 1), pytest.param(100, 2, marks=pytest.mark.storm)]
)
def test_kills_at_random_moments(tmp_path: Path, kills: int, seed: int) -> None:
    """Each step was done, and each attempt repeats at most the step that was under way.

    A step counts once because doing it again has no effect: the checkpoint alone cannot be
    atomic with a file.
    """
    succeed(python(PROGRAM, tmp_path, str(kills), str(seed)), tmp_path, PYTHONPATH=str(ROOT))
    lines = (tmp_path / "tries").read_text("utf-8").splitlines()
    assert "not stored" not in lines
    steps = [int(line) for line in lines if line.isdecimal()]
    effects = {int(path.name) for path in (tmp_path / "effects").iterdir()}
    attempts = [line.split()[1:] for line in lines if line.startswith("attempt")]
    assert effects == set(steps) == set(range(len(effects)))
    assert len(steps) - len(effects) <= kills
    numbers = [int(number) for number, _ in attempts]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= kills + 1
    assert len(attempts) > kills // 2  # the other kills came before the attempt had begun
    for before, (_, done) in zip(_steps_by_attempt(lines), attempts[1:], strict=False):
        assert int(done) in {before, before + 1}
    assert last_checkpoint("steps", folder=tmp_path / "traces") is None


def _steps_by_attempt(lines: list[str]) -> list[int]:
    """Return the last step that was tried at the end of each attempt."""
    found: list[int] = []
    last = -1
    for line in lines:
        if line.startswith("attempt"):
            found.append(last)
        elif line.isdecimal():
            last = int(line)
    return found[1:]
