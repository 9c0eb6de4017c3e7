"""Tracks spans in a program that gevent patches first; prints the results as JSON."""

# ruff: noqa: E402 - the patch comes first, as gevent's users must do it
from __future__ import annotations

from importlib import import_module

import_module("gevent.monkey").patch_all()

import json
import sys
import time

from otel_ext.runtime.threads import is_gevent
from otel_ext.runtime.worker import shared_worker
from tests.inflight.tracking import Tracking

BUSY_SECONDS = 10.0


def main() -> None:
    """Run without yielding, then run greenlets to their end."""
    tracking = Tracking(grace=0.0)
    worker = shared_worker()
    beats: list[float] = []
    worker.every(0.02, tracking.reaper.run, "reaper")
    # Kept in a variable, so that the job lives.
    beat = worker.every(0.02, lambda: beats.append(time.monotonic()), "beat")
    worker.ensure()
    end = time.monotonic() + BUSY_SECONDS
    while len(beats) <= 3 and time.monotonic() < end:
        pass
    while_busy = len(beats)

    gevent = import_module("gevent")
    end_of_life = import_module("gevent.event").Event()
    spans: list[object] = []

    def live() -> None:
        spans.append(tracking.tracer.start_span("alive"))
        end_of_life.wait()

    alive = gevent.spawn(live)
    gevent.sleep(0.2)
    while_alive = len(tracking.abandoned)
    end_of_life.set()
    alive.join()
    del alive
    deadline = time.monotonic() + 10
    while not tracking.abandoned and time.monotonic() < deadline:
        gevent.sleep(0.01)
    beat.cancel()
    stopped = worker.stop()
    worker.every(0.02, tracking.reaper.run, "reaper")
    worker.ensure()
    result = {
        "is_gevent": is_gevent(),
        "runs while the program is busy": while_busy > 3,
        "abandoned": [record.abandoned for record in tracking.abandoned],
        "abandoned while alive": while_alive,
        "stopped": stopped,
        "ensured again": worker.is_alive,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
