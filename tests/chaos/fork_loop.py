"""A program: fork again and again beside busy threads; each child uses spans and ends.

    python fork_loop.py [FORKS]

Prints as JSON how many children failed, and how many hung. The tests run it
with 100 forks; 10,000 is the long form.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import threading
import time
import warnings
from collections import Counter

from otel_ext.inflight import open_spans
from otel_ext.runtime.health import health
from otel_ext.runtime.worker import shared_worker
from tests.inflight.tracking import Tracking, wait_until

DEFAULT_FORKS = 10_000
HUNG_AFTER = 20.0
HUNG = 99

TRACKING = Tracking(grace=0.0)
WORKER = shared_worker()


def work() -> None:
    """Use spans as a hook-ridden program does, one of them dropped without an end."""
    WORKER.ensure()
    with TRACKING.tracer.start_as_current_span("outer", attributes={"a": 1}):
        TRACKING.tracer.start_span("inner").end()
    TRACKING.tracer.start_span("dropped")


def child(parents: object) -> int:
    """Return 0 if all is in order in this child."""
    faulthandler.dump_traceback_later(HUNG_AFTER)
    if len(TRACKING.table) != 0 or WORKER.is_alive:
        return 2
    parents.end()  # type: ignore[attr-defined]
    TRACKING.ends.clear()
    TRACKING.abandoned.clear()
    work()
    names = sorted(end.name for end in TRACKING.ends)
    if names != ["inner", "outer"] or TRACKING.ignored != 1:
        return 3
    if not wait_until(lambda: len(TRACKING.abandoned) == 1):
        return 4
    if any(one.name == "parent's" for one in open_spans()) or health().state == "failed":
        return 5
    return 0


def outcome(pid: int) -> int:
    """Wait for the child, not longer than it may take, and return its exit status."""
    deadline = time.monotonic() + HUNG_AFTER + 5
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return HUNG


def main() -> int:
    """Fork as often as was asked for, and tell."""
    forks = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FORKS
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, since 3.12
    job = WORKER.every(0.002, TRACKING.reaper.run, "reaper")
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            work()
            TRACKING.ends.clear()
            TRACKING.abandoned.clear()
            stop.wait(0.0005)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    outcomes: Counter[int] = Counter()
    parents = TRACKING.tracer.start_span("parent's")
    for _ in range(forks):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = child(parents)
            finally:
                os._exit(status)
        outcomes[outcome(pid)] += 1
    stop.set()
    for thread in threads:
        thread.join(10)
    job.cancel()
    gc.collect()
    failed = forks - outcomes[0] - outcomes[HUNG]
    told = {"forks": forks, "failed": failed, "hung": outcomes[HUNG]}
    sys.stdout.write(json.dumps(told) + "\n")
    if failed:
        sys.stderr.write(f"exit statuses of the children: {dict(outcomes)}\n")
    return 1 if failed or outcomes[HUNG] else 0


if __name__ == "__main__":
    sys.exit(main())
