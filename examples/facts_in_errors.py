"""Adds facts about the work at hand to every log and every exception in a block.

Run: python examples/facts_in_errors.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import structlog

import otel_ext
from otel_ext import traced_executor, with_context, with_span
from otel_ext.context import error_context

log = structlog.get_logger("shop")


def charge() -> None:
    """Fail: neither the log nor the exception names the order."""
    log.warning("retrying")
    with with_span("charge"):
        raise ValueError("card declined")


def main() -> None:
    """Show where the facts are, and that they end with the block."""
    otel_ext.configure()
    otel_ext.configure_structlog(renderer=structlog.processors.KeyValueRenderer(sort_keys=True))
    try:
        with with_context(order=7):
            error_context.set(customer="ada")  # ends with the block too
            charge()
    except ValueError as error:
        print(f"{error}; notes: {getattr(error, '__notes__', [])}")
    print("after the block:", error_context.get())

    with ThreadPoolExecutor(1) as pool, traced_executor(pool) as executor:
        with with_context(order=8):
            print("in the pool's thread:", executor.submit(error_context.get).result())
        print("its next job:", executor.submit(error_context.get).result())


if __name__ == "__main__":
    main()
