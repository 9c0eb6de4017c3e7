"""Sorts the entries of a batch by what they are of, and merges the records of each span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.store.entries import LogEntry, ProcessEntry, SpanEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.store.entries import Entry

__all__ = ["SortedEntries"]


class SortedEntries:
    """The entries of one batch by what they are of; of each span the winning record.

    Attributes:
        spans: By trace, then by span and process.
        logs: By trace; those without one under an empty id.
        about: What processes wrote about themselves.
        entities: The events that are about entities.
        seen: The first and the last time at which each process was seen.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.spans: dict[str, dict[tuple[str, str], SpanEntry]] = {}
        self.logs: dict[str, list[LogEntry]] = {}
        self.about: list[ProcessEntry] = []
        self.entities: list[LogEntry] = []
        self.seen: dict[str, tuple[int, int]] = {}
        for entry in entries:
            if isinstance(entry, SpanEntry):
                self._add_span(entry)
                self._see(entry.span.process, entry.span.seen_ns)
            elif isinstance(entry, LogEntry):
                self.logs.setdefault(entry.trace_id, []).append(entry)
                if entry.entity is not None:
                    self.entities.append(entry)
                self._see(entry.process, entry.time_ns)
            else:
                self.about.append(entry)
                self._see(entry.process, entry.time_ns)

    def _see(self, process: str, time_ns: int) -> None:
        known = self.seen.get(process)
        if known is None:
            self.seen[process] = time_ns, time_ns
        elif not known[0] <= time_ns <= known[1]:
            self.seen[process] = min(known[0], time_ns), max(known[1], time_ns)

    def _add_span(self, entry: SpanEntry) -> None:
        span = entry.span
        of_trace = self.spans.get(span.trace_id)
        if of_trace is None:
            of_trace = self.spans[span.trace_id] = {}
        key = span.span_id, span.process
        known = of_trace.get(key)
        if known is not None:
            is_opener = entry.is_opener or known.is_opener
            entry = (entry if span.rank > known.span.rank else known)._replace(is_opener=is_opener)
        of_trace[key] = entry
