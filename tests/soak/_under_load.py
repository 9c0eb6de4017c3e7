"""A program under load: makes spans at a steady rate, and prints as JSON what became of them.

    python _under_load.py FOLDER SECONDS SPANS_PER_SECOND

Beside them it holds spans open to the end, on threads and in tasks, none of which
may be abandoned.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from opentelemetry import trace

import otel_ext
from otel_ext.runtime.counters import COUNTERS

THREADS = 4
HELD = 20
WARM_UP = 0.25  # of the time, until the ring buffer is full and the allocator has settled
PERIOD = 0.01
STEP = 60.0  # a larger step means that the wall clock was set, and did not just drift


def memory_kib() -> dict[str, int]:
    """Return the process's own memory, without files it has mapped, and all of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"own": found["RssAnon"], "all": sum(found.values())}


def load(per_second: float, end: float, done: list[int]) -> None:
    """Start and end spans at a steady rate until the end."""
    tracer = trace.get_tracer("soak")
    began, count = time.monotonic(), 0
    while (now := time.monotonic()) < end:
        behind = min(int((now - began) * per_second) - count, 1_000)
        for number in range(behind):
            span = tracer.start_span("load", attributes={"n": number, "text": "x" * 40})
            span.set_attribute("late", number)
            span.end()
        count += behind
        time.sleep(PERIOD)
    done.append(count)


def hold(end: threading.Event) -> None:
    """Keep a span open on this thread."""
    with trace.get_tracer("soak").start_as_current_span("held on a thread"):
        end.wait()


async def hold_in_tasks(end: threading.Event) -> None:
    """Keep spans open in tasks."""

    async def hold_one() -> None:
        with trace.get_tracer("soak").start_as_current_span("held in a task"):
            while not end.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.1)

    await asyncio.gather(*(hold_one() for _ in range(HELD)))


def all_is_written_or_dropped() -> bool:
    """Wait until each accepted record is written or dropped; return whether that happened."""
    pause, end = threading.Event(), time.monotonic() + 60
    while time.monotonic() < end:
        lost = sum(COUNTERS.dropped().values())
        if COUNTERS.value("accepted") == COUNTERS.value("written") + lost:
            return True
        pause.wait(0.01)
    return False


def main() -> None:
    """Make the load, and print the counts."""
    folder, seconds, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    handle = otel_ext.configure(
        output=folder,
        console="off",
        owner_grace=0.0,
        segment_size=8 << 20,
        retention_size=64 << 20,
        ring_size=2 << 20,
    )
    done: list[int] = []
    stop = threading.Event()
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=hold, args=(stop,)) for _ in range(HELD)]
    threads.append(threading.Thread(target=lambda: asyncio.run(hold_in_tasks(stop))))
    loaders = [
        threading.Thread(target=load, args=(rate / THREADS, end, done)) for _ in range(THREADS)
    ]
    for thread in [*threads, *loaders]:
        thread.start()
    samples: list[dict[str, int]] = []
    offset, steps = time.time() - time.monotonic(), 0
    while time.monotonic() < end:
        before, offset = offset, time.time() - time.monotonic()
        steps += abs(offset - before) > STEP
        stop.wait(min(1.0, max(seconds / 100, 0.1)))
        if time.monotonic() > end - seconds * (1 - WARM_UP):
            samples.append(memory_kib())
    for thread in loaders:
        thread.join()
    abandoned = {k: v for k, v in COUNTERS.snapshot().items() if k.startswith("abandoned.")}
    print("loaded", flush=True)
    sys.stdin.readline()  # comes once the disk works again
    stop.set()
    for thread in threads:
        thread.join()
    flushed = all_is_written_or_dropped()
    report = {
        "spans": sum(done),
        "flushed": flushed,
        "accepted": COUNTERS.value("accepted"),
        "written": COUNTERS.value("written"),
        "dropped": COUNTERS.dropped(),
        "abandoned": abandoned,
        "clock_steps": steps,
        "memory": samples,
    }
    handle.shutdown()
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
