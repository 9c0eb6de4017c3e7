"""Wraps a program's own flat trace, whose callers stay as they are.

Run: python examples/flat_trace_with_spans.py
"""

# ruff: noqa: T201 - a program for the terminal prints

from __future__ import annotations

from typing import TYPE_CHECKING

import otel_ext
from otel_ext import StructuredTrace
from otel_ext.structured import TraceLog

if TYPE_CHECKING:
    from otel_ext.structured import TraceSpan


def load_rules(trace: TraceLog | StructuredTrace) -> int:
    """Do the work of an old service: it knows only the flat trace."""
    trace.info("loaded 12 rules", "RuleService")
    trace.failure("no target", "TargetService", {"actor": 7})
    return 12


def show(spans: list[TraceSpan], indent: str = "") -> None:
    """Print spans as a tree."""
    for span in spans:
        print(f"{indent}{span.operation}: {span.status} {dict(span.attributes)}")
        show(span.children, indent + "  ")


def main() -> None:
    """Call the old service with the flat trace, then with a structured one."""
    otel_ext.configure()
    flat = TraceLog()
    load_rules(flat)

    trace = StructuredTrace(TraceLog())
    with trace.with_span("action", attributes={"actor": 7}):
        rules = trace.with_span("load rules", lambda: load_rules(trace))
        span = trace.start_span("resolve targets", {"rules": rules})
        trace.end_span(span, "failure", "no target")

    def entries(log: TraceLog | StructuredTrace) -> list[str]:
        return [f"{entry.type}: {entry.message}" for entry in log.logs]

    print("the entries are the same:", entries(flat) == entries(trace), entries(trace))
    show(trace.spans)


if __name__ == "__main__":
    main()
