"""Records events that come thousands of times a second as a few records with their sums.

Run: python examples/sampled_events.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

import otel_ext
from otel_ext import with_span
from otel_ext.events import Event, SampledEvents


def main() -> None:
    """Look things up in two caches, one of which is hit rarely."""
    handle = otel_ext.configure()
    # One record a minute for each cache, and a tenth of the traces for what is put into them.
    events = SampledEvents(window=60, keys=["cache"], rates={"cache.put": 0.1})
    with otel_ext.subscribe("cache.*", print_sums, inline=True):
        with with_span("build index"):
            for number in range(10_000):
                cache = "pages" if number % 10 else "users"
                events.emit("cache.miss", {"bytes": number}, {"cache": cache})
        for _ in range(50):
            events.emit("cache.put", {"bytes": 10}, {"cache": "users"})
        handle.flush()  # else they are written each minute, and at exit


def print_sums(event: Event) -> None:
    """Print what one record stands for."""
    sums = event.measurements
    print(
        f"{event.name} of {event.metadata['cache']}: {sums['bytes.count']} times,"
        f" {sums['bytes.sum']} bytes, at most {sums['bytes.max']}"
    )


if __name__ == "__main__":
    main()
