"""`TraceRow`: the row of a trace, which sums up its spans as they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.store.sqlite.rows import ABANDONED, CANCELLED, ERROR, FIRST_END, STALLED

if TYPE_CHECKING:
    from otel_ext.analysis.traces.span import Span

__all__ = ["MOST_PROCESSES", "TRACE_COLUMNS", "TraceRow"]

TRACE_COLUMNS: Final = (
    "number, id, start_ns, end_ns, lead_has_parent, lead_start_ns, lead_operation, lead_process,"
    " processes, places, spans, open, stalled, errors, abandoned, cancelled, repeats, is_agent"
)

MOST_PROCESSES: Final = 64
"""Of more processes of one trace only the first are noted."""


@dataclass
class TraceRow:
    """What is known of a trace.

    Attributes:
        number: Its number within its day.
        id: Its id.
        start_ns: The first start of its spans, nanoseconds since the epoch.
        end_ns: The last known time of its spans.
        lead: Of the span that names the trace, the first root or else the first span: whether
            it has a parent, its start, the numbers of its operation and of its process.
        processes: The numbers of its processes, the first of them.
        places: How many places for rows of spans are taken.
        spans: How many spans it has, and how many of them are in each state.
        repeats: How many ids of spans several processes use for different spans.
        is_agent: Whether a span of it is one of an agent.
        is_new: Whether it is not stored yet.
    """

    number: int
    id: bytes
    start_ns: int
    end_ns: int
    lead: tuple[int, int, int, int]
    processes: list[int] = field(default_factory=list[int])
    places: int = 0
    spans: int = 0
    open: int = 0
    stalled: int = 0
    errors: int = 0
    abandoned: int = 0
    cancelled: int = 0
    repeats: int = 0
    is_agent: int = 0
    is_new: bool = False

    @classmethod
    def stored(cls, row: tuple[object, ...]) -> TraceRow:
        """Return the trace in a row of `TRACE_COLUMNS`."""
        number, trace_id, start_ns, end_ns, *lead, processes = row[:9]
        counts = row[9:]
        return cls(
            number,  # type: ignore[arg-type]
            trace_id,  # type: ignore[arg-type]
            start_ns,  # type: ignore[arg-type]
            end_ns,  # type: ignore[arg-type]
            tuple(lead),  # type: ignore[arg-type]
            orjson.loads(processes),  # type: ignore[arg-type]
            *counts,  # type: ignore[arg-type]
        )

    def values(self) -> tuple[object, ...]:
        """Return the values of the columns."""
        return (
            self.number,
            self.id,
            self.start_ns,
            self.end_ns,
            *self.lead,
            orjson.dumps(self.processes).decode(),
            self.places,
            self.spans,
            self.open,
            self.stalled,
            self.errors,
            self.abandoned,
            self.cancelled,
            self.repeats,
            self.is_agent,
        )

    def count(self, state: int, by: int) -> None:
        """Count one span more or less in a state.

        Args:
            state: The number of its phase and state.
            by: 1 or -1.
        """
        self.spans += by
        if state < FIRST_END:
            self.open += by
            self.stalled += by if state in STALLED else 0
        elif state == ERROR:
            self.errors += by
        elif state == ABANDONED:
            self.abandoned += by
        elif state == CANCELLED:
            self.cancelled += by

    def extend(self, span: Span, operation: int, process: int) -> None:
        """Take a span's times, and its name if it leads the trace.

        Args:
            span: The span.
            operation: The number of its operation.
            process: The number of its process.
        """
        lead = (int(bool(span.parent_span_id)), span.start_ns, operation, process)
        if not self.processes or lead[:2] < self.lead[:2]:
            self.lead = lead
        self.start_ns = min(self.start_ns, span.start_ns)
        self.end_ns = max(self.end_ns, span.seen_ns if span.end_ns is None else span.end_ns)
        if process not in self.processes and len(self.processes) < MOST_PROCESSES:
            self.processes.append(process)
