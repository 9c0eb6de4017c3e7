"""A program: hours of load with the disk blocked, the process stopped, and the clock set.

    python blocked_sink.py [SECONDS] [SPANS A SECOND]

For most of the time every write of the loaded program hangs; now and then the disk
works for a moment. Meanwhile the process is stopped for seconds, its wall clock is set
by days, and another process watches the same folder. At the end the rate must have been
kept up, memory be flat, accepted = written + dropped exactly, and no span be abandoned
by mistake.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

HERE = Path(__file__).parent
DEFAULT_SECONDS = 8 * 3600.0
DEFAULT_RATE = 5_000.0
# How much the program's own memory may grow after it has warmed up.
MAX_GROWTH_KIB = 4 * 1024
# A share of the wanted rate: the program is stopped a few times, perhaps just at the end.
LEAST_RATE = 0.9
DAY = 86_400
# Seconds by which the wall clock is off, one after the other.
STEPS = (0, 2 * DAY, -2 * DAY, 40 * DAY, -3_600)
WATCHER = """
import sys, otel_ext
from opentelemetry import trace
otel_ext.configure(output=sys.argv[1], console="off")
trace.get_tracer("watcher").start_span("watcher's").end()
sys.stdin.readline()
"""


def build(folder: Path) -> Path:
    """Compile the library that makes writes hang and sets the clock."""
    library = folder / "block_writes.so"
    command = [
        "cc",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        str(library),
        str(HERE / "_block_writes.c"),
    ]
    subprocess.run([*command, "-ldl"], check=True)
    return library


def set_clock(clock: Path, seconds: int) -> None:
    """Set the program's wall clock off by so many seconds, in one write of fixed size."""
    with clock.open("r+b", buffering=0) as file:
        file.write(seconds.to_bytes(8, "little", signed=True))


def environment(work: Path, blocked: Path, clock: Path) -> dict[str, str]:
    """Return the environment in which the disk blocks and the clock jumps."""
    return os.environ | {
        "LD_PRELOAD": str(build(work)),
        "BLOCK_WRITES_WHILE": str(blocked),
        "SET_CLOCK_BY": str(clock),
    }


def disturb(process: subprocess.Popen[str], seconds: float, blocked: Path, clock: Path) -> int:
    """Block the disk, stop the process, set the clock; return how often it was stopped."""
    began = last = time.monotonic()
    stops = number = 0
    while time.monotonic() - began < seconds and process.poll() is None:
        phase = (time.monotonic() - began) % 10
        blocked.touch() if phase < 8.5 else blocked.unlink(missing_ok=True)
        if number % 4 == 0:
            set_clock(clock, STEPS[number // 4 % len(STEPS)])
        if number % 40 == 20:
            process.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            process.send_signal(signal.SIGCONT)
            stops += 1
        number += 1
        time.sleep(0.25)
        if time.monotonic() - last > 60:
            last = time.monotonic()
            sys.stderr.write(f"{last - began:.0f} of {seconds:.0f} s\n")
    return stops


def ends_by_mistake(folder: Path) -> int:
    """Return how many spans the program or its watcher has ended as abandoned."""
    command = ["grep", "-hs", '"abandoned":', *map(str, folder.glob("*.jsonl"))]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return sum('"phase":"end"' in line for line in lines)


def judge(
    counts: dict[str, object], folder: Path, seconds: float, rate: float
) -> dict[str, object]:
    """Return the figures, and what is wrong with them under `wrong`."""
    memory = [one["own"] for one in cast("list[dict[str, int]]", counts.pop("memory"))]
    third = max(len(memory) // 3, 1)
    grown = statistics.median(memory[-third:]) - statistics.median(memory[:third])
    accepted, written = cast("int", counts["accepted"]), cast("int", counts["written"])
    dropped = cast("dict[str, int]", counts["dropped"])
    wrong: list[str] = []
    reached = cast("int", counts["spans"]) / seconds
    if reached < LEAST_RATE * rate:
        wrong.append(f"only {reached:,.0f} spans a second were started, of {rate:,.0f}")
    if accepted != written + sum(dropped.values()):
        wrong.append("accepted is not written + dropped")
    if accepted < 2 * cast("int", counts["spans"]):
        wrong.append("fewer records were accepted than spans were started and ended")
    if not counts["clock_steps"]:
        wrong.append("its clock was never set")
    if grown > MAX_GROWTH_KIB:
        wrong.append(f"memory grew by {grown:.0f} KiB")
    by_mistake = ends_by_mistake(folder)
    if counts["abandoned"] or by_mistake:
        wrong.append(f"{by_mistake} spans were abandoned: {counts['abandoned']}")
    if not counts["flushed"] or not written:
        wrong.append("nothing was written when the disk worked again")
    return {
        "spans_per_second": round(reached),
        **counts,
        "memory_kib": statistics.median(memory),
        "memory_grown_kib": grown,
        "given_up_by_mistake": by_mistake,
        "wrong": wrong,
    }


def main(seconds: float, rate: float) -> int:
    """Run the program under load, disturb it, and print the figures as JSON."""
    work = Path(tempfile.mkdtemp(prefix="soak-"))
    folder, blocked, clock = work / "traces", work / "blocked", work / "clock"
    clock.write_bytes(bytes(8))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    load = [sys.executable, str(HERE / "_under_load.py"), str(folder), str(seconds), str(rate)]
    watch = [sys.executable, "-c", WATCHER, str(folder)]
    try:
        with (
            subprocess.Popen(load, env=environment(work, blocked, clock), **pipes) as process,  # type: ignore[call-overload]
            subprocess.Popen(watch, **pipes) as watcher,  # type: ignore[call-overload]
        ):
            stops = disturb(process, seconds, blocked, clock)
            assert process.stdout is not None
            assert process.stdout.readline() == "loaded\n"
            blocked.unlink(missing_ok=True)
            set_clock(clock, 0)
            time.sleep(2.0)
            out, _ = process.communicate("\n", timeout=120)
            watcher.communicate("\n", timeout=30)
        figures = judge(json.loads(out.splitlines()[-1]), folder, seconds, rate)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps({"seconds": seconds, "stops": stops, **figures}))
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    sys.exit(main(float(arguments.get(1, DEFAULT_SECONDS)), float(arguments.get(2, DEFAULT_RATE))))
