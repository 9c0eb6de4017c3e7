"""A program: spans in finalizers, signal handlers and log handlers, beside busy threads.

Runs for the seconds named on the command line and prints what it did as JSON.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import logging
import signal
import sys
import threading
import time
from itertools import count

from otel_ext.inflight import Watchdog, open_spans
from otel_ext.runtime.health import health
from otel_ext.runtime.worker import shared_worker
from tests.inflight.tracking import Tracking

TRACKING = Tracking(grace=0.0)
WORKER = shared_worker()
STARTS = count()
SIGNALS = count()
FINALIZERS = count()
LOGS = count()


def use_a_span(name: str) -> None:
    """Start and end a span, and call on the worker as a hook does."""
    WORKER.ensure()
    next(STARTS)
    with TRACKING.tracer.start_as_current_span(name, attributes={"n": 1}):
        WORKER.ring()


class Finalized:
    """Uses a span of its own and ends another in its finalizer, in a cycle."""

    def __init__(self) -> None:
        self.me = self
        next(STARTS)
        self.span = TRACKING.tracer.start_span("ended in a finalizer")

    def __del__(self) -> None:
        next(FINALIZERS)
        use_a_span("in a finalizer")
        self.span.end()


class SpanHandler(logging.Handler):
    """A log handler that uses a span, and logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Use a span, and log in turn."""
        next(LOGS)
        use_a_span("in a log handler")
        if record.levelno == logging.WARNING:
            logging.getLogger("inner").info("a handler that logs")


def on_signal(*_: object) -> None:
    """Use a span and look around, in the middle of anything."""
    next(SIGNALS)
    use_a_span("in a signal handler")
    open_spans()
    health()


def main() -> None:
    """Do all of it at once."""
    seconds = float(sys.argv[1])
    faulthandler.dump_traceback_later(seconds + 30, exit=True)
    gc.set_threshold(50, 2, 2)
    watchdog = Watchdog(TRACKING.table, lambda _: None, threshold=0.001)
    jobs = [
        WORKER.every(0.001, TRACKING.reaper.run, "reaper"),
        WORKER.every(0.005, watchdog.run, "watchdog"),
    ]
    logging.getLogger().addHandler(SpanHandler())
    logging.getLogger().setLevel(logging.INFO)
    signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    end = time.monotonic() + seconds

    def busy() -> None:
        while time.monotonic() < end:
            use_a_span("busy")
            Finalized()
            logging.getLogger("app").warning("something")

    threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    busy()
    for thread in threads:
        thread.join(20)
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.collect()
    for job in jobs:
        job.cancel()
    WORKER.stop()
    hung = any(thread.is_alive() for thread in threads)
    told = {
        "hung": hung,
        "started": next(STARTS),
        "ended": len({end.key for end in TRACKING.ends}),
        "open": len(TRACKING.table),
        "signals": next(SIGNALS),
        "finalizers": next(FINALIZERS),
        "logs": next(LOGS),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
