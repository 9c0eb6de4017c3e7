"""`Alert`: what a `PerformanceMonitor` reports."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from otel_ext.readable import duration
from otel_ext.settings.units import format_size

__all__ = ["Alert", "AlertKind"]

AlertKind: TypeAlias = Literal["slow", "open", "recovered", "memory"]
"""`slow`: spans of an operation took too long; `open`: one is open for too long; `recovered`: an
operation is quick again; `memory`: the process uses too much."""


class Alert(NamedTuple):
    """One alert.

    Attributes:
        kind: What has happened.
        operation: The name of the spans; empty for memory.
        value: The duration in nanoseconds, or the memory in bytes.
        limit: What was allowed.
        trace_id: The trace of the span; empty for memory.
        span_id: The span.
        time_ns: When, nanoseconds since the epoch.
        suppressed: How many alerts since the one before it were never delivered, because their
            reason was over before the limit left room for them.
    """

    kind: AlertKind
    operation: str
    value: int
    limit: int
    trace_id: str = ""
    span_id: str = ""
    time_ns: int = 0
    suppressed: int = 0

    def __str__(self) -> str:
        if self.kind == "memory":
            return f"memory: {format_size(self.value)}, more than {format_size(self.limit)}"
        verb = {"slow": "took", "open": "is open for", "recovered": "takes"}[self.kind]
        than = "within" if self.kind == "recovered" else "more than"
        return (
            f"{self.operation} {verb} {duration(self.value)}, {than} {duration(self.limit)}"
            f" (trace {self.trace_id[:8]})"
        )
