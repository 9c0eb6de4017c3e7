"""`Batch`: the rows of one transaction, collected so that each statement runs over many."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from otel_ext.store.sqlite.schema import PLACE_BITS
from otel_ext.store.sqlite.sums import Sums
from otel_ext.store.sqlite.texts import indexed, log_lines, span_lines
from otel_ext.store.sqlite.traces import TRACE_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from otel_ext.store.entries import LogEntry, SpanEntry
    from otel_ext.store.sqlite.traces import TraceRow

__all__ = ["Batch"]

_NEW_SPAN: Final = (
    "insert into span (number, id, parent, process, operation, state, is_opener, start_ns, end_ns,"
    " seen_ns, seq, thread, task, task_name, error, change)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CHANGED_SPAN: Final = (
    "update span set parent = ?, process = ?, operation = ?, state = ?, is_opener = ?,"
    " start_ns = ?, end_ns = ?, seen_ns = ?, seq = ?, thread = ?, task = ?, task_name = ?,"
    " error = ?, change = ? where number = ?"
)
_NEW_LOG: Final = (
    "insert or ignore into log (trace, span, time_ns, process, seq, kind, level, text, correlation,"
    " line, change) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning number"
)
_MARKS: Final = ", ".join("?" * (TRACE_COLUMNS.count(",") + 2))
_TRACE: Final = f"insert or replace into trace ({TRACE_COLUMNS}, change) values ({_MARKS})"


class Batch:
    """Rows to be written.

    Args:
        number_of: Returns the number of a process.
        has_texts: Whether there is an index of texts.
        change: The number of the change.

    Attributes:
        numbers: Of the new traces.
        operations: New rows of operations.
        keys: New names of attributes.
        spans: New rows of spans, without the number of the change.
        changed_spans: Rows of spans, without number and id, and then the number.
        links: Rows of links, of which some may be stored already.
        records: New rows of records.
        changed_records: Records, and then the numbers of their rows.
        logs: Logs and their traces.
        sums: What is added to the sums over ended spans.
    """

    def __init__(self, number_of: Callable[[str], int], *, has_texts: bool, change: int) -> None:
        self._number_of = number_of
        self._has_texts = has_texts
        self._change = (change,)
        # By trace: the number of its first span here, and the lines of all of them.
        self._texts: dict[int, tuple[int, dict[str, None]]] = {}
        self.numbers: set[int] = set()
        self.operations: list[tuple[object, ...]] = []
        self.keys: list[tuple[str]] = []
        self.spans: list[tuple[object, ...]] = []
        self.changed_spans: list[tuple[tuple[object, ...], int]] = []
        self.links: list[tuple[bytes, int, bytes]] = []
        self.records: list[tuple[int, bytes]] = []
        self.changed_records: list[tuple[bytes, int]] = []
        self.logs: list[tuple[TraceRow | None, LogEntry]] = []
        self.sums = Sums()

    def add_text(self, number: int, entry: SpanEntry) -> None:
        """Add the texts of an ended span to the index; the others are few, and are read."""
        if self._has_texts:
            trace, span = number >> PLACE_BITS, entry.span
            lines = span_lines(span.name, span.error, entry.attributes, len(entry.line))
            known = self._texts.get(trace)
            if known is None:
                self._texts[trace] = number, dict.fromkeys(lines)
            else:
                known[1].update(dict.fromkeys(lines))

    def write(self, connection: sqlite3.Connection, traces: Iterable[TraceRow]) -> None:
        """Write all rows.

        Args:
            connection: Where to, within a transaction.
            traces: The changed traces.
        """
        many, change = connection.executemany, self._change
        self.write_spans(connection)
        self.sums.write(connection)
        many("insert into record values (?, ?)", self.records)
        many("update record set line = ? where number = ?", self.changed_records)
        many("insert or ignore into link values (?, ?, ?)", sorted(self.links))
        many("insert into attribute values (?)", self.keys)
        # By number: an index of texts takes rows in their order at once, others one by one.
        texts = sorted(self._texts.values(), key=itemgetter(0))
        if texts:
            rows = ((number, indexed(lines)) for number, lines in texts)
            many("insert into span_text (rowid, text) values (?, ?)", rows)
        self._write_logs(connection)
        many(_TRACE, (trace.values() + change for trace in traces))

    def write_spans(self, connection: sqlite3.Connection) -> None:
        """Write the rows of spans and operations, and forget them."""
        many, change = connection.executemany, self._change
        many("insert into operation values (?, ?, ?, ?, ?, ?)", self.operations)
        many(_NEW_SPAN, (row + change for row in self.spans))
        many(_CHANGED_SPAN, ((*row, *change, number) for row, number in self.changed_spans))
        self.operations, self.spans, self.changed_spans = [], [], []

    def _write_logs(self, connection: sqlite3.Connection) -> None:
        texts: list[tuple[int, str]] = []
        for trace, log in sorted(self.logs, key=lambda one: one[1].time_ns):
            row = connection.execute(
                _NEW_LOG,
                (
                    None if trace is None else trace.number,
                    bytes.fromhex(log.span_id) if log.span_id else None,
                    log.time_ns,
                    self._number_of(log.process),
                    log.seq,
                    log.kind,
                    log.level,
                    log.text,
                    log.correlation or None,
                    log.line,
                    *self._change,
                ),
            ).fetchone()
            if row is not None:
                texts.append((row[0], indexed(log_lines(log.text, log.attributes))))
        if texts and self._has_texts:
            connection.executemany("insert into log_text (rowid, text) values (?, ?)", texts)
