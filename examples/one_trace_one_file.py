"""Runs a job in a trace of its own, whose spans and logs also go to one file.

Run: python examples/one_trace_one_file.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import otel_ext
from otel_ext import trace_context, with_span
from otel_ext.context import BufferedLogger


def report(path: Path) -> None:
    """Make a report of the file: here a line on the terminal."""
    print(f"the report is made from {path.name}")


def main() -> None:
    """Run two jobs, and show what each has kept."""
    otel_ext.configure()
    otel_ext.configure_structlog()

    with trace_context("count", job=1) as trace, with_span("step"):
        print("so far:", [record.event for record in trace.records()])
    print("at the end:", [record.event for record in trace.records()])

    with TemporaryDirectory() as folder:
        path = Path(folder, "nightly.jsonl")
        with BufferedLogger(path, report=report, job=2) as logger, with_span("load"):
            logger.info("loaded", rows=12)
        # After a crash: `otel-ext recover traces`, then BufferedLogger.recover(path, "traces").
        lines = path.read_text("utf-8").splitlines()
        print(f"{path.name} has {len(lines)} lines: the process, then its records")


if __name__ == "__main__":
    main()
