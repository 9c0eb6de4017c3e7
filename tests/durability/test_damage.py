"""Recovery beside other recoveries and living processes, and of folders with random damage."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX
from tests.durability.kit import (
    Found,
    assert_ended_once,
    assert_valid,
    command,
    read,
    read_line,
    recovered,
    running,
    tree_env,
    write_line,
)
from tests.figures import report_figures
from tests.programs import OTEL_EXT, wait_until

if TYPE_CHECKING:
    from pathlib import Path

DIES = """
    for number in range(300):
        tracer.start_span("done", attributes={"text": "x" * 100}).end()
    handle.flush() if len(sys.argv) > 2 else None
    kept = [tracer.start_span(f"open {n}") for n in range(20)]
    os.kill(os.getpid(), signal.SIGKILL)
"""
LIVES = """
    kept = tracer.start_span("living")
    print("ready", flush=True)
    sys.stdin.readline()
    kept.end()
"""


def die(folder: Path, *flush: str) -> None:
    """Run a program that kills itself with spans open."""
    done = subprocess.run(command(DIES, folder, *flush), env=tree_env(), check=False, timeout=50)
    assert done.returncode == -9


def abandoned(found: Found) -> int:
    """Return how many spans were ended for dead processes."""
    return sum(end.abandoned == "process-died" for end in found.phase("end"))


@pytest.mark.slow
def test_two_recover_while_a_third_starts(tmp_path: Path) -> None:
    """Two commands and a program that has just started recover the dead: one end for each span."""
    for turn in range(3):
        folder = tmp_path / str(turn)
        copies = [folder / "a"]
        die(copies[0])
        die(copies[0], "flush")
        argv = [OTEL_EXT, "recover", str(copies[0])]
        with running(command(LIVES, copies[0])) as living:
            both = [
                subprocess.Popen(
                    argv,
                    env=tree_env(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for _ in range(2)
            ]
            assert read_line(living) == "ready"
            for process in both:
                out = process.communicate(timeout=50)[0]
                assert process.returncode == 0, out
            wait_until(lambda f=copies[0]: abandoned(read(f)) == 40, "all ends", 10)  # type: ignore[misc]
            write_line(living)
            assert living.wait(20) == 0
        found = recovered(copies[0])
        assert_ended_once(found)
        assert abandoned(found) == 40
        assert [end.abandoned for end in found.phase("end", "living")] == [None]
        assert_valid(copies[0])


def scribble(path: Path, dice: random.Random) -> int:
    """Overwrite a few stretches of a file with random bytes; return how many bytes."""
    data = bytearray(path.read_bytes())
    # A ring buffer is mostly empty; its records are in its first pages.
    reach = min(len(data), 256 * 1024)
    if not reach:
        return 0
    total = 0
    for _ in range(dice.randrange(1, 6)):
        at, length = dice.randrange(reach), dice.choice([1, 1, 7, 100, 5_000])
        length = min(length, len(data) - at)
        data[at : at + length] = dice.randbytes(length) if dice.random() < 0.7 else bytes(length)
        total += length
    if dice.random() < 0.2:
        del data[dice.randrange(1, reach) :]
    path.write_bytes(data)
    return total


@pytest.mark.storm
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(2))
def test_random_damage_then_recovery(tmp_path: Path, seed: int) -> None:
    """Damage raises nothing and costs under half of the records; recovery stays idempotent."""
    dice = random.Random(seed)
    original = tmp_path / "original"
    die(original, "flush")
    die(original)
    whole = {(r.process.id, r.seq) for r in recovered_copy(original, tmp_path / "whole").records}
    kept = total = 0
    for turn in range(25):
        folder = tmp_path / f"damaged-{turn}"
        shutil.copytree(original, folder)
        victims = [*folder.glob("*.jsonl"), *folder.glob(f"{RING_FOLDER}/*{RING_SUFFIX}")]
        for victim in dice.sample(victims, dice.randrange(1, len(victims) + 1)):
            scribble(victim, dice)
        # The writer of a damaged file may be unknown; without a grace recovery does not wait.
        report = recover(folder, grace_seconds=0)
        assert not report.failed
        assert recover(folder, grace_seconds=0).recovered == []
        found = read(folder)
        ends = [r.key for r in found.phase("end") if r.abandoned == "process-died"]
        assert len(ends) == len(set(ends))
        assert not list(folder.glob(f"{RING_FOLDER}/*{RING_SUFFIX}"))
        kept += len({(r.process.id, r.seq) for r in found.records} & whole)
        total += len(whole)
        # `validate` reports damage and does not crash.
        argv = [OTEL_EXT, "validate", *map(str, folder.glob("*.jsonl"))]
        if turn % 8 == 0:
            done = subprocess.run(argv, env=tree_env(), capture_output=True, text=True, check=False)
            assert done.returncode in {0, 1}, done.stderr
            assert "Traceback" not in done.stderr
    report_figures(f"random damage, seed {seed}", records_kept=f"{kept} of {total}")
    assert kept > total * 0.5


def recovered_copy(original: Path, copy: Path) -> Found:
    """Recover a copy of a folder and read it."""
    shutil.copytree(original, copy)
    return recovered(copy)
