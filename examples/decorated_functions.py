"""Decorates functions, generators and a class, and prints the spans as a tree.

Run: python examples/decorated_functions.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import otel_ext
from otel_ext import auto_span, current_span, trace_context, with_span

if TYPE_CHECKING:
    from collections.abc import Iterator


def title(path: str) -> str:
    """Return the name of a span, from the arguments of the call."""
    return f"read {path}"


@auto_span(name=title)
def rows(path: str) -> Iterator[int]:
    """Yield rows: the span lives as long as the iteration."""
    print("reading", path)
    yield from (5, 7, 12)


@auto_span(arguments=["order"])  # chosen by name: the card stays out
class Shop:
    """Each public method runs in a span."""

    def charge(self, order: int, card: str) -> str:
        """Charge a card."""
        return f"order {order} is paid"

    async def ship(self) -> None:
        """Ship, in a coroutine."""
        with with_span("pack"):
            await asyncio.sleep(0)


def main() -> None:
    """Call them, and print who was started within whom."""
    otel_ext.configure()
    with trace_context("day") as trace:
        for _ in rows("orders.csv"):
            # The span of `rows` is current in its body only, not here between two rows.
            assert current_span() is trace.span  # noqa: S101 - shown to the reader
        Shop().charge(7, "4242")
        asyncio.run(Shop().ship())
    indents = {"": ""}
    for record in trace.records():
        if record.phase == "start":
            indent = indents[record.parent_span_id or ""]
            indents[record.span_id] = indent + "  "
            print(f"{indent}{record.name}", dict(record.attributes) or "")


if __name__ == "__main__":
    main()
