"""Rolls a new search out to half of the traces, and compares it with the old one.

Run: python examples/flags.py
Needs: pip install 'otel-ext[flags]'
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

import otel_ext
from otel_ext import with_span
from otel_ext.analysis import TraceAnalyzer, compare_variants
from otel_ext.flags import roll_back, set_stage, use_flags

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient

FILE = "flags.json"


def search(client: OpenFeatureClient) -> str:
    """Search as the flag says; all of a trace gets the same answer."""
    if client.get_boolean_value("new-search", default_value=False):
        with with_span("search index"):
            sleep(0.001)
        return "new"
    with with_span("scan all rows"):
        sleep(0.004)
    return "old"


def main() -> None:
    """Serve 40 requests at stage 4, compare, and go back."""
    processor = otel_ext.configure()
    print("stage", set_stage(FILE, "new-search", 4, create=True).after.stage)
    client = use_flags(FILE)
    answers: list[str] = []
    for _ in range(40):
        with with_span("request"):
            first, second = search(client), search(client)
        answers.append(first)
        if first != second:
            raise RuntimeError("a trace has both variants")
    print("some new, some old:", {*answers} == {"new", "old"})
    processor.shutdown()
    variants = TraceAnalyzer.of_files("traces").by_variant("new-search")
    found = compare_variants(variants, "off", "on")
    print("traces:", sum(map(len, variants.traces.values())), "mixed:", len(variants.mixed))
    print("gone:", [one.operation.name for one in found.differences if one.change == "gone"])
    print("faster:", found.self_ns < 0)
    print("stage", roll_back(FILE, "new-search").after.stage)


if __name__ == "__main__":
    main()
