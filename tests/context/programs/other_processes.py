"""Hands the context over to other processes, started in one of the ways of `multiprocessing`.

Run: python other_processes.py METHOD FOLDER

Prints what the jobs have seen as JSON; the spans are recorded into the folder.
"""

from __future__ import annotations

import json
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from opentelemetry import baggage
from opentelemetry.context import attach
from structlog.contextvars import bind_contextvars

import otel_ext
from otel_ext.context import carried, error_context

Seen = dict[str, object]


def job(folder: str, name: str) -> Seen:
    """Record a span, and return the fields and the baggage here."""
    handle = otel_ext.configure(output=folder, console="off")
    with otel_ext.with_span(name):
        pass
    handle.flush()
    return seen()


def seen() -> Seen:
    """Return the fields and the baggage that hold here, and whether a span is current."""
    return {
        **error_context.get(),
        **baggage.get_all(),
        "span": otel_ext.current_span().get_span_context().is_valid,
    }


def leave_everything() -> None:
    """Set fields, baggage and a span, and leave them all."""
    error_context.set(left="set")
    bind_contextvars(left_too="bound")
    attach(baggage.set_baggage("left", "baggage"))
    otel_ext.start_span("left open")


def unpickle(data: bytes, folder: str) -> None:
    """Record a span in a context that was pickled by the program itself."""
    with otel_ext.with_propagated_context(pickle.loads(data)):  # noqa: S301 - made below
        job(folder, "unpickled")


def main(method: str, folder: str) -> None:
    """Run jobs in a pool and in processes of their own."""
    otel_ext.configure(output=folder, console="off")
    context: Any = multiprocessing.get_context(method)
    found: dict[str, object] = {}
    attach(baggage.set_baggage("tenant", "blue"))
    pool = ProcessPoolExecutor(1, mp_context=context)
    with otel_ext.traced_executor(pool) as executor:
        with otel_ext.with_span("submitter"), otel_ext.with_context(order=7):
            found["submitted"] = executor.submit(job, folder, name="submitted").result(60)
            names = [f"mapped {number}" for number in range(4)]
            found["mapped"] = list(executor.map(job, [folder] * 4, names, chunksize=2))
            executor.submit(leave_everything).result(60)
        found["next"] = pool.submit(seen).result(60)
    with otel_ext.with_span("starter"), otel_ext.with_context(order=8):
        data = pickle.dumps(otel_ext.propagate_context())
        processes = [
            context.Process(target=carried(job), args=(folder, "target")),
            context.Process(target=unpickle, args=(data, folder)),
        ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found["exit codes"] = [process.exitcode for process in processes]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
