"""`DayWriter`: writes the traces of one day."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from otel_ext.analysis.traces.forest import are_different
from otel_ext.store.agents import is_agent_attribute, is_agent_key
from otel_ext.store.sqlite.batch import Batch
from otel_ext.store.sqlite.days import DAY_NS
from otel_ext.store.sqlite.rows import (
    CODES,
    FIRST_END,
    OldRow,
    Operation,
    code_of,
    rank_of,
    winner_of,
)
from otel_ext.store.sqlite.schema import PLACE_BITS, closed_on_failure, has_texts, open_day
from otel_ext.store.sqlite.sums import Ended
from otel_ext.store.sqlite.traces import TRACE_COLUMNS, TraceRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_ext.analysis.traces.span import Span
    from otel_ext.store.entries import LogEntry, SpanEntry

__all__ = ["DayWriter"]

# Of a day.
_MICROSECONDS: Final = DAY_NS // 1_000
_MOST_PLACES: Final = 1 << PLACE_BITS
# So many names of attributes are kept, to complete a search; programs may make them up.
_MOST_KEYS: Final = 10_000


class DayWriter:
    """Writes one file of the store, in transactions of one batch each.

    Args:
        path: The file.
        start_ns: When the day begins, nanoseconds since the epoch.
        number_of: Returns the number of a process.
    """

    def __init__(
        self,
        path: Path,
        start_ns: int,
        number_of: Callable[[str], int],
    ) -> None:
        self.path = path
        self._start_ns = start_ns
        self._number_of = number_of
        self._connection = connection = open_day(path)
        self._operations: dict[Operation, int] = {}
        self._keys: dict[str, bool] = {}
        with closed_on_failure(connection):
            self._has_texts = has_texts(connection)
            self._read_names()
        self._batch = self._new_batch(0)

    def _new_batch(self, change: int) -> Batch:
        return Batch(self._number_of, has_texts=self._has_texts, change=change)

    def begin(self, change: int) -> None:
        """Begin a transaction.

        Args:
            change: The number of the change.
        """
        self._batch = self._new_batch(change)
        self._connection.execute("begin immediate")

    def find(self, trace_id: bytes) -> TraceRow | None:
        """Return a trace of this day; None if it is not here."""
        query = f"select {TRACE_COLUMNS} from trace where id = ?"
        row = self._connection.execute(query, (trace_id,)).fetchone()
        return None if row is None else TraceRow.stored(row)

    def new_trace(self, trace_id: bytes, time_ns: int) -> TraceRow:
        """Return a trace that is not stored yet, with a number that nothing else has.

        Args:
            trace_id: Its id.
            time_ns: Its first known start, nanoseconds since the epoch.
        """
        number = min(max((time_ns - self._start_ns) // 1_000, 0), _MICROSECONDS - 1)
        spread = 1
        while number in self._batch.numbers or self._is_taken(number):
            spread = min(spread * 2, _MICROSECONDS)
            number = (number + random.randrange(1, spread + 1)) % _MICROSECONDS  # noqa: S311
        self._batch.numbers.add(number)
        return TraceRow(number, trace_id, time_ns, time_ns, (1, time_ns, 0, 0), is_new=True)

    def _is_taken(self, number: int) -> bool:
        query = "select 1 from trace where number = ?"
        return self._connection.execute(query, (number,)).fetchone() is not None

    def add_spans(self, trace: TraceRow, spans: Iterable[SpanEntry]) -> bool:
        """Add records of spans of one trace; return whether one of them changes anything.

        Args:
            trace: The trace; it is changed and has to be given to `finish`.
            spans: At most one of each span and process.
        """
        by_id: dict[str, list[SpanEntry]] = {}
        for one in spans:
            by_id.setdefault(one.span.span_id, []).append(one)
        changed = 0
        for span_id, own in by_id.items():
            changed += self._add_span(trace, span_id, own)
        return changed > 0

    def _add_span(self, trace: TraceRow, span_id: str, new: list[SpanEntry]) -> bool:
        """Add what processes have recorded of one span."""
        blob = bytes.fromhex(span_id)
        rows = {} if trace.is_new else self._rows_of(trace.number, blob)
        if not rows and len(new) == 1:
            return self._add_new_span(trace, blob, new[0])
        before, repeats = winner_of(rows.values()), self._are_different(trace, blob, rows)
        changed = False
        for one in new:
            process = self._number_of(one.span.process)
            changed |= self._write(trace, blob, one, process, rows)
        if not changed:
            return False
        if before is not None:
            trace.count(before, -1)
        after = winner_of(rows.values())
        if after is not None:
            trace.count(after, 1)
        trace.repeats += self._are_different(trace, blob, rows) - repeats
        return True

    def _add_new_span(self, trace: TraceRow, span_id: bytes, new: SpanEntry) -> bool:
        """Add the one record of a span of which nothing is stored, as most are."""
        rows: dict[int, OldRow] = {}
        if not self._write(trace, span_id, new, self._number_of(new.span.process), rows):
            return False
        for row in rows.values():
            trace.count(row.state, 1)
        return True

    def _rows_of(self, trace: int, span_id: bytes) -> dict[int, OldRow]:
        """Return the rows of a span that are stored, by the number of the process."""
        rows = self._connection.execute(
            "select process, number, state, seq, seen_ns, is_opener from span"
            f" where number >> {PLACE_BITS} = ? and id = ?",
            (trace, span_id),
        )
        return {row[0]: OldRow(*row[1:]) for row in rows}

    def _write(
        self, trace: TraceRow, span_id: bytes, new: SpanEntry, process: int, rows: dict[int, OldRow]
    ) -> bool:
        """Write one row, unless the stored one knows all of it; return whether it was written."""
        span, old = new.span, rows.get(process)
        if old is None and trace.places >= _MOST_PLACES:
            return False
        row = OldRow(
            (trace.number << PLACE_BITS | trace.places) if old is None else old.number,
            code_of(span),
            span.seq,
            span.seen_ns,
            int(new.is_opener or (old is not None and old.is_opener)),
        )
        if old is not None and rank_of(row) <= rank_of(old):
            is_opener = row.is_opener != old.is_opener
            if is_opener:
                rows[process] = old._replace(is_opener=1)
                query = "update span set is_opener = 1 where number = ?"
                self._connection.execute(query, (old.number,))
            return is_opener
        operation = self._operation(span)
        values = self._values(span, span_id, process, operation, row)
        batch = self._batch
        if old is None:
            trace.places += 1
            batch.spans.append(values)
            batch.records.append((row.number, new.line))
        else:
            batch.changed_spans.append((values[2:], row.number))
            batch.changed_records.append((new.line, row.number))
            if old.state >= FIRST_END:
                self._uncount(old, process)
        if span.end_ns is not None:
            batch.add_text(row.number, new)
            ended = Ended(operation, process, row.state, span.start_ns, span.end_ns)
            batch.sums.add(ended, row.number, 1)
        for target in new.links:
            batch.links.append((bytes.fromhex("".join(target)), trace.number, span_id))
        trace.extend(span, operation, process)
        trace.is_agent |= self._note_keys(new)
        rows[process] = row
        return True

    def _uncount(self, old: OldRow, process: int) -> None:
        """Take an ended span out of the sums, since another record of it wins now."""
        query = "select operation, start_ns, end_ns from span where number = ?"
        operation, start_ns, end_ns = self._connection.execute(query, (old.number,)).fetchone()
        ended = Ended(operation, process, old.state, start_ns, end_ns)
        self._batch.sums.add(ended, old.number, -1)

    def _values(
        self, span: Span, span_id: bytes, process: int, operation: int, row: OldRow
    ) -> tuple[object, ...]:
        parent = bytes.fromhex(span.parent_span_id) if span.parent_span_id else None
        _, thread, task, task_name = span.lineage
        return (
            row.number,
            span_id,
            parent,
            process,
            operation,
            row.state,
            row.is_opener,
            span.start_ns,
            span.end_ns,
            span.seen_ns,
            span.seq,
            thread,
            task,
            task_name or None,
            span.error if span.state == "error" else None,
        )

    def _operation(self, span: Span) -> int:
        """Return the number of a span's operation, and store it if it is new."""
        operation = Operation(span.name, span.kind, span.site)
        number = self._operations.get(operation)
        if number is None:
            number = self._operations[operation] = len(self._operations) + 1
            self._batch.operations.append((number, span.name, span.kind, *span.site))
        return number

    def _note_keys(self, entry: SpanEntry) -> int:
        """Note the names of a span's attributes; return 1 if it is one of an agent."""
        keys, found = self._keys, False
        for key, value in entry.attributes.items():
            known = keys.get(key)
            if known is None:
                known = is_agent_key(key)
                if len(keys) < _MOST_KEYS:
                    keys[key] = known
                    self._batch.keys.append((key,))
            found = found or (known and is_agent_attribute(key, value))
        return int(found)

    def add_log(self, trace: TraceRow | None, entry: LogEntry) -> None:
        """Add a log; one that is stored already changes nothing.

        Args:
            trace: Its trace, if it has one.
            entry: The log.
        """
        self._batch.logs.append((trace, entry))

    def _are_different(self, trace: TraceRow, span_id: bytes, rows: dict[int, OldRow]) -> bool:
        """Whether processes have recorded different spans under one id."""
        if len(rows) < 2:  # noqa: PLR2004 - processes
            return False
        self._batch.write_spans(self._connection)
        found = self._connection.execute(
            "select name, parent, start_ns, state, is_opener from span join operation"
            f" on operation.number = operation where span.number >> {PLACE_BITS} = ? and id = ?",
            (trace.number, span_id),
        ).fetchall()
        facts = [(row[0], row[1], row[2] // 1_000) for row in found if CODES[row[3]][0] != "update"]
        return are_different(facts, sum(row[4] for row in found))

    def finish(self, traces: Iterable[TraceRow]) -> None:
        """Store the batch and the traces that were changed."""
        self._batch.write(self._connection, traces)
        self._connection.execute("commit")

    def cancel(self) -> None:
        """Undo what was written since `begin`."""
        if self._connection.in_transaction:
            self._connection.execute("rollback")
        self._read_names()

    @property
    def last_change(self) -> int:
        """The number of the last change of this day."""
        row = self._connection.execute(
            "select max((select max(change) from trace), (select max(change) from log))"
        ).fetchone()
        return row[0] or 0

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _read_names(self) -> None:
        """Read the stored operations and names of attributes."""
        execute = self._connection.execute
        rows = execute("select name, kind, file, line, function, number from operation")
        self._operations = {Operation(row[0], row[1], row[2:5]): int(row[5]) for row in rows}
        rows = execute("select key from attribute")
        self._keys = {key: is_agent_key(key) for (key,) in rows}
