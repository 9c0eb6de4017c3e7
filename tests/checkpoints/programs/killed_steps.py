"""Kills an operation of many steps at random moments: FOLDER KILLS SEED.

Each attempt is a process that is forked before anything is configured, so that it begins as
fast as it can. A step's effect is a file of its own; each try of a step is a
line in `tries`. After the last kill the operation ends by itself.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import otel_ext
from otel_ext.context import resume

BATCH = 5
IMPORTED = (
    "otel_ext.exporters.jsonl",
    "otel_ext.journal.recovery.recover",
    "otel_ext.processors.lifecycle",
    "otel_ext.redaction.redactor",
    "otel_ext.setup.adoption",
)
"""Before the forks, to save time."""
IN_THE_BLOCK = 0.7
"""Of the kills, this part comes after the attempt has begun; the others at any time."""


def attempt(folder: Path, begun: int) -> None:
    """Do steps until the file `finish` exists, at least one; write to `begun` before the first."""
    otel_ext.configure(
        output=folder / "traces", ring_size="256KiB", segment_size="64KiB", instrument=False
    )
    tries = os.open(folder / "tries", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with resume("steps") as work:
        done = work.state["done"] if isinstance(work.state, dict) else 0
        assert isinstance(done, int)
        os.write(tries, f"attempt {work.attempt} {done}\n".encode())
        os.write(begun, b"!")
        is_last = False
        while not is_last:
            is_last = (folder / "finish").exists()
            os.write(tries, f"{done}\n".encode())
            os.close(os.open(folder / f"effects/{done}", os.O_CREAT | os.O_WRONLY))
            done += 1
            if not work.checkpoint({"done": done, "next": f"step {done}"}):
                os.write(tries, b"not stored\n")
            if done % BATCH == 0:
                time.sleep(0.001)


def main(folder: Path, kills: int, seed: int) -> int:
    """Kill as often as asked for, then let it end; return the last attempt's exit code."""
    choice = random.Random(seed)
    for name in IMPORTED:
        import_module(name)
    (folder / "effects").mkdir()
    child = 0
    for number in range(kills + 1):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            attempt(folder, writer)
            return 0
        os.close(writer)
        if number == kills:
            (folder / "finish").touch()
            break
        if choice.random() < IN_THE_BLOCK:
            os.read(reader, 1)
            time.sleep(choice.uniform(0.0, 0.05))
        else:
            time.sleep(choice.uniform(0.0, 0.15))
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
