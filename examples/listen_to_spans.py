"""Subscribes to the ends of spans and to the program's own events.

Run: python examples/listen_to_spans.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import otel_ext
from otel_ext import mark_failure, subscribe, with_span
from otel_ext.events import emit

if TYPE_CHECKING:
    from otel_ext.events import Event

ends: Counter[str] = Counter()


def count(event: Event) -> None:
    """Count the spans by how they end; runs on a thread of its own."""
    ends[f"{event.metadata['name']} {event.metadata['status']}"] += 1


def broken(event: Event) -> None:
    """Raise: after three calls in a row it gets no more events."""
    raise RuntimeError(f"no handler for {event.name}")


def main() -> None:
    """Listen while some work is done."""
    otel_ext.configure()
    misses: list[Event] = []
    with (
        subscribe("span.stop", count) as counting,
        subscribe("cache.*", misses.append, inline=True),
        subscribe("cache.miss", broken, inline=True) as breaking,
    ):
        for number in range(5):
            with with_span("order", number=number):
                emit("cache.miss", {"size": number}, {"key": f"order-{number}"})
                if number == 4:  # noqa: PLR2004 - the last
                    mark_failure("sold out")
        counting.flush()
    print("ends:", dict(ends))
    print("misses:", sum(event.measurements["size"] for event in misses), "bytes")
    print("detached:", breaking.detached)


if __name__ == "__main__":
    main()
