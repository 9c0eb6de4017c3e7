"""Starts three children with spans, by the method named on the command line.

Prints as JSON what each of them saw.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

from otel_ext.runtime.process import incarnation
from otel_ext.runtime.worker import shared_worker
from tests.inflight.tracking import Tracking
from tests.programs import becomes_true

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from opentelemetry.trace import Span

TRACKING = Tracking(grace=0.0)
INHERITED: list[Span] = []


def child(results: Queue[dict[str, object]]) -> None:
    """Open spans, drop one, and end the inherited one."""
    worker = shared_worker()
    job = worker.every(0.02, TRACKING.reaper.run, "reaper")
    TRACKING.tracer.start_span("child's").end()
    TRACKING.tracer.start_span("dropped")
    for span in INHERITED:
        span.end()
    worker.ensure()
    becomes_true(lambda: len(TRACKING.abandoned) == 1)
    job.cancel()
    results.put(
        {
            "pid": os.getpid(),
            "process": incarnation.current().id,
            "ends": [end.name for end in TRACKING.ends],
            "abandoned": [record.abandoned for record in TRACKING.abandoned],
            "ignored": TRACKING.ignored,
        }
    )


def main() -> None:
    """Start the children while the parent has an open span."""
    multiprocessing.set_start_method(sys.argv[1])
    INHERITED.append(TRACKING.tracer.start_span("parent's"))
    results: Queue[dict[str, object]] = multiprocessing.Queue()
    children = [multiprocessing.Process(target=child, args=(results,)) for _ in range(3)]
    for process in children:
        process.start()
    reports = [results.get(timeout=40) for _ in children]
    for process in children:
        process.join(40)
    parent = {"open": len(TRACKING.table), "ends": [end.name for end in TRACKING.ends]}
    sys.stdout.write(json.dumps({"pid": os.getpid(), "parent": parent, "children": reports}))


if __name__ == "__main__":
    main()
