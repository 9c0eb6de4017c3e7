"""Keeps spans open on the main thread, on threads and in tasks for some seconds.

Prints "ready", then how many were abandoned meanwhile, and how far the wall
clock moved.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time

from otel_ext.runtime.worker import shared_worker
from tests.inflight.tracking import Tracking


def main() -> None:
    """Keep twelve spans open and count the abandoned ends."""
    seconds = float(sys.argv[1])
    tracking = Tracking(grace=0.0)
    worker = shared_worker()
    job = worker.every(0.05, tracking.reaper.run, "reaper")
    clock: list[float] = []
    job = worker.every(0.05, lambda: clock.append(time.time()), "read the clock")
    worker.ensure()
    done = threading.Event()

    def hold() -> None:
        with tracking.tracer.start_as_current_span("on a thread"):
            done.wait()

    async def hold_in_task() -> None:
        with tracking.tracer.start_as_current_span("in a task"):
            await asyncio.sleep(seconds)

    async def hold_in_tasks() -> None:
        await asyncio.gather(*(hold_in_task() for _ in range(5)))

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    with tracking.tracer.start_as_current_span("on the main thread"):
        looping = threading.Thread(target=lambda: asyncio.run(hold_in_tasks()))
        looping.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        done.wait(seconds * 0.9)
        days = round((max(clock) - min(clock)) / 86_400)
        summary = f"abandoned {len(tracking.abandoned)}, open {len(tracking.table)}"
        sys.stdout.write(f"{summary}, {days} days\n")
        job.cancel()
        job.cancel()
        done.set()
        looping.join()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
