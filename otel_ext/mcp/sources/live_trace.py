"""Reads the document in which a server describes a trace, by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from otel_ext.analysis.traces.span import Span
from otel_ext.analysis.traces.tree import make_tree
from otel_ext.errors import UsageError
from otel_ext.mcp.sources.source import Trace
from otel_ext.record.model import SPAN_KINDS
from otel_ext.views.report_columns import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.analysis.traces.span import State
    from otel_ext.mcp.sources.client import Document
    from otel_ext.record.merge import SpanKey

__all__ = ["trace_of"]


class _Row(NamedTuple):
    """One span; texts are numbers."""

    id: str
    parent: str
    name: int
    state: int
    kind: int
    process: int
    start: int
    end: int | None
    until: int
    error: int
    file: int
    line: int
    function: int
    where: int
    thread: int
    task: int


def trace_of(trace_id: str, document: Document, address: str) -> Trace:
    """Return the trace of a document.

    Args:
        trace_id: Its id.
        document: The document.
        address: Where it is from, for the message that it cannot be read.

    Raises:
        UsageError: The document is not as this version of otel-ext knows it.
    """
    try:
        return _Reader(trace_id, document).trace()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        message = f"the answer of the server {address} cannot be understood"
        raise UsageError(message, hint="Use the same version of otel-ext there and here") from None


class _Reader:
    """Reads one document.

    A task has no id there, so its name tells it apart.
    """

    def __init__(self, trace_id: str, document: Document) -> None:
        self._trace_id = trace_id
        self._strings = cast("list[str]", document["strings"])
        self._base = int(cast("str", document["base_ns"]))
        self._columns = cast("dict[str, Sequence[Any]]", document["spans"])
        self._logs = cast("list[object]", document["logs"])
        processes = cast("list[dict[str, int]]", document["processes"])
        self._processes = [
            (self._text(one["id"]), self._text(one["label"]), self._text(one["service"]))
            for one in processes
        ]

    def _text(self, number: int) -> str:
        return "" if number < 0 else str(self._strings[number])

    def trace(self) -> Trace:
        """Return the trace."""
        spans: list[Span] = []
        where: dict[SpanKey, str] = {}
        names = _Row._fields
        for values in zip(*(self._columns[name] for name in names), strict=True):
            row = _Row(*values)
            span = self._span(row)
            spans.append(span)
            if span.is_open and STATES[row.state] != "open":
                where[span.key] = self._text(row.where)
        if not spans:
            raise ValueError("no spans")
        services = {process: service for process, _, service in self._processes if service}
        labels = {process: label for process, label, _ in self._processes}
        return Trace([make_tree(spans)], services, labels, where, len(self._logs))

    def _span(self, row: _Row) -> Span:
        process, state = self._processes[row.process][0], STATES[row.state]
        return Span(
            self._trace_id,
            row.id,
            row.parent,
            self._text(row.name),
            # An open span of a process that is not seen has no state of its own here.
            cast("State", "running" if state == "open" else state),
            self._base + row.start,
            None if row.end is None else self._base + row.end,
            self._base + row.until,
            SPAN_KINDS[row.kind],
            process=process,
            lineage=(process, _number(self._text(row.thread)), 0, self._text(row.task)),
            site=(self._text(row.file), row.line, self._text(row.function)),
            error=self._text(row.error),
        )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
