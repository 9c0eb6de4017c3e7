"""Writes spans by hand, and shows how each kind of end is recorded.

Run: python examples/spans_by_hand.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import asyncio
from contextlib import suppress

import otel_ext
from otel_ext import end_span, mark_failure, start_span, trace_context, with_span


@with_span("add up")
def total(prices: list[int]) -> int:
    """Return the sum: each call is a span."""
    return sum(prices)


async def ship() -> None:
    """Wait for a truck that does not come."""
    async with with_span("ship"):
        await asyncio.Event().wait()


def main() -> None:
    """End spans in every way, then print the records of the ends."""
    otel_ext.configure()
    with trace_context("shop") as trace:
        with with_span("order", order=7) as span:
            span.set_attribute("total", total([5, 7]))
        with with_span("pay"):
            mark_failure("card declined")  # a failure that is a value, not an exception
        with suppress(KeyError), with_span("look up"):
            raise KeyError("lamp")
        with suppress(SystemExit), with_span("leave"):
            raise SystemExit(0)  # the end of a program, and not an error
        with suppress(asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(ship(), 0.01))  # cancels it
        span = start_span("import")  # where no block has the span's extent
        end_span(span, "failure", "no rows")
    for record in trace.records():
        if record.phase == "end" and (status := record.status):
            facts = dict(record.attributes)
            print(f"{record.name:<8} {status.code:<6} {status.description or '':<18} {facts}")


if __name__ == "__main__":
    main()
