"""Keeps one trace across threads, processes, and a program that it starts.

Run: python examples/context_everywhere.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Thread

import otel_ext
from otel_ext import propagate_context, traced_executor, with_propagated_context, with_span
from otel_ext.context import carried, context_environment


def work(where: str) -> str:
    """Return the trace that a span here belongs to."""
    otel_ext.configure()
    with with_span(f"work in {where}") as span:
        return f"{span.get_span_context().trace_id:032x}"


def main() -> None:
    """Do the same work in five places, and count the traces."""
    otel_ext.configure()
    spawn = multiprocessing.get_context("spawn")
    with with_span("main"):
        with traced_executor(ThreadPoolExecutor(2)) as threads:
            traces = list(threads.map(work, ["a thread pool"]))
        with traced_executor(ProcessPoolExecutor(1, mp_context=spawn)) as processes:
            traces.append(processes.submit(work, "a process pool").result())
        thread = Thread(target=carried(lambda: traces.append(work("a thread"))))
        thread.start()
        thread.join()
        program = [sys.executable, __file__, "child"]
        done = subprocess.run(program, env=context_environment(), stdout=-1, check=True)  # noqa: S603 - itself
        traces.append(done.stdout.decode().strip())
        message = json.dumps(propagate_context())  # to a queue, a file, a header
    with with_propagated_context(json.loads(message)):
        traces.append(work("a consumer"))
    print("the carrier:", *json.loads(message))
    print(f"{len(traces)} pieces of work, {len(set(traces))} trace")


if __name__ == "__main__":
    if sys.argv[1:] == ["child"]:
        with with_propagated_context(os.environ):
            print(work("another program"))
    else:
        main()
