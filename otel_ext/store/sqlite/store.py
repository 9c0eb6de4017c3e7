"""`SqliteStore`: reads a SQLite store, which another process may write meanwhile."""

from __future__ import annotations

import heapq
from itertools import chain, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from otel_ext.observe.event_query import is_of_process
from otel_ext.store.protocol import Slice, StoredProcess, StoredSpans, Totals, TraceSummary
from otel_ext.store.sqlite.candidates import SUMMARIES, candidate_rows
from otel_ext.store.sqlite.days import DAY_NS, days_in, file_of, start_of
from otel_ext.store.sqlite.event_rows import events_in, living_entities
from otel_ext.store.sqlite.log_rows import logs_in
from otel_ext.store.sqlite.names import OperationNames, ProcessNames
from otel_ext.store.sqlite.narrowing import narrow
from otel_ext.store.sqlite.pool import Pool
from otel_ext.store.sqlite.rows import SOURCE_BITS, SPAN_ARRAYS, rows_in, spans_in
from otel_ext.store.sqlite.schema import COMMON_FILE, PLACE_BITS, mark_of, sequence_of
from otel_ext.store.sqlite.statistics import Numbers, errors_in, slices_in
from otel_ext.store.sqlite.sums import operations_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.span import Span
    from otel_ext.observe.event_query import EventQuery, RecordedEvent
    from otel_ext.record.merge import SpanKey
    from otel_ext.store.entities import StoredEntity
    from otel_ext.store.protocol import ErrorGroup, StoredLog, StoredOperation
    from otel_ext.store.queries import LogQuery, Place, TraceQuery
    from otel_ext.store.sqlite.rows import Operation

__all__ = ["SqliteStore"]

Found = TypeVar("Found")

_NUMBER_MASK: Final = (1 << SOURCE_BITS) - 1
_IN_TRACE: Final = "number >= :first and number < :end and change > :after"
_SPANS: Final = f"select {SPAN_ARRAYS} from span where {_IN_TRACE}"
# With what other processes have recorded of the same spans, among which the merge rule decides.
_CHANGED: Final = (
    f"select {SPAN_ARRAYS} from span where number >> {PLACE_BITS} = :first >> {PLACE_BITS}"
    f" and id in (select id from span where {_IN_TRACE})"
)
# Many at once, by their numbers: a statement for each one takes longer.
_LINES: Final = "select number, line from record where number in (select value from json_each(?))"
_LINKING: Final = (
    "select trace.id, link.span from link join trace on trace.number = link.trace"
    " where link.target = ? order by link.trace desc, link.span limit ?"
)
_OPEN: Final = (
    f"select {SPAN_ARRAYS}, json_group_array((select hex(trace.id) from trace"
    f" where trace.number = span.number >> {PLACE_BITS}))"
    " from (select * from span where end_ns is null order by start_ns limit ?) as span"
)


class SqliteStore:
    """Reads the store in a folder; see `Store`.

    Args:
        folder: The folder of the store; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = Pool()
        self._names = ProcessNames(folder, self._pool)
        self._lock = Lock()
        self._operations_of: dict[tuple[int, int], OperationNames] = {}

    def change(self) -> int:
        """Return the number of the last change."""
        with self._pool.connection(self._folder / COMMON_FILE) as connection:
            return 0 if connection is None else sequence_of(connection)

    def candidates(self, query: TraceQuery, after: Place | None = None) -> Iterator[TraceSummary]:
        """Yield the traces in which a search may find something. See `Store.candidates`."""
        self._names.check()
        narrowed = narrow(query.node, self._names.with_service)
        days = [day for day in days_in(self._folder) if start_of(day + 1) > query.since_ns]
        if query.order == "oldest":
            days.reverse()

        def of_day(day: int, number: int | None) -> Iterator[TraceSummary]:
            with self._pool.connection(file_of(self._folder, day)) as connection:
                if connection is not None:
                    for row in candidate_rows(connection, query, narrowed, number):
                        yield self._summary(day, row)

        if query.order in {"longest", "shortest"}:
            yield from heapq.merge(
                *(of_day(day, None) for day in days),
                key=lambda found: found.end_ns - found.start_ns,
                reverse=query.order == "longest",
            )
            return
        for day in days:
            if after is None:
                yield from of_day(day, None)
            elif day == after[0]:
                yield from of_day(day, after[1])
            elif (day < after[0]) == (query.order == "newest"):
                yield from of_day(day, None)

    def changed_traces(self, after: int, limit: int) -> Sequence[TraceSummary]:
        """Return traces that were changed after a change. See `Store.changed_traces`."""
        statement = f"{SUMMARIES} where change > ? and spans > 0 order by change desc limit ?"

        def read(day: int, connection: sqlite3.Connection) -> list[TraceSummary]:
            return [
                self._summary(day, row) for row in connection.execute(statement, (after, limit))
            ]

        found = [one for of_day in self._of_days(read) for one in of_day]
        return sorted(found, key=lambda one: one.change, reverse=True)[:limit]

    def summary(self, trace_id: str) -> TraceSummary | None:
        """Return what is known of a trace; None if it is not stored."""

        def read(day: int, connection: sqlite3.Connection) -> TraceSummary | None:
            row = connection.execute(f"{SUMMARIES} where id = ? and spans > 0", (blob,)).fetchone()
            return None if row is None else self._summary(day, row)

        blob = _blob_of(trace_id)
        return next((one for one in self._of_days(read) if one is not None), None)

    def _summary(self, day: int, row: tuple[Any, ...]) -> TraceSummary:
        """Return what a row of `SUMMARIES` says."""
        number, trace_id, start_ns, end_ns, has_parent, lead, processes = row[:7]
        spans, is_open, stalled, errors, abandoned, cancelled, repeats = row[7:14]
        is_agent, change, name = row[14:]
        id_of = self._names.id_of
        return TraceSummary(
            trace_id=trace_id.hex(),
            place=(day, number),
            start_ns=start_ns,
            end_ns=end_ns,
            name=name,
            has_root=not has_parent,
            process=id_of(lead),
            processes=tuple(map(id_of, orjson.loads(processes))),
            spans=spans,
            open=is_open,
            stalled=stalled,
            errors=errors,
            abandoned=abandoned,
            cancelled=cancelled,
            is_repeated=bool(repeats),
            is_agent=bool(is_agent),
            change=change,
        )

    def spans_of(self, trace_id: str, after: int = 0) -> StoredSpans:
        """Return the spans of a trace that were changed after a change, in any order."""

        def read(day: int, connection: sqlite3.Connection) -> StoredSpans | None:
            connection.execute("begin")  # so that spans and change belong together
            try:
                return self._spans(connection, day, blob, after)
            finally:
                connection.execute("commit")

        blob = _blob_of(trace_id)
        found = (spans for spans in self._of_days(read) if spans is not None)
        return next(found, StoredSpans((), frozenset(), 0))

    def _spans(
        self, connection: sqlite3.Connection, day: int, blob: bytes, after: int
    ) -> StoredSpans | None:
        query = "select number, change from trace where id = ?"
        trace = connection.execute(query, (blob,)).fetchone()
        if trace is None:
            return None
        statement = _SPANS if after <= 0 else _CHANGED
        first, end = trace[0] << PLACE_BITS, (trace[0] + 1) << PLACE_BITS
        values = {"first": first, "end": end, "after": after}
        rows = rows_in(connection.execute(statement, values).fetchone())
        operations = self._operations(day, connection)
        spans = spans_in(rows, blob.hex(), day, operations, self._process_ids(rows))
        openers = frozenset(
            (span.span_id, span.process) for span, row in zip(spans, rows, strict=True) if row[-1]
        )
        return StoredSpans(spans, openers, trace[1])

    def _operations(self, day: int, connection: sqlite3.Connection) -> Mapping[int, Operation]:
        """Return the operations of a day by their numbers."""
        key = day, mark_of(connection)
        with self._lock:
            names = self._operations_of.get(key)
            if names is None:
                others = self._operations_of.items()
                self._operations_of = {other: known for other, known in others if other[0] != day}
                names = self._operations_of[key] = OperationNames()
        return names.read(connection)

    def _process_ids(self, rows: Iterable[tuple[Any, ...]]) -> Mapping[int, str]:
        """Return the ids of the processes in rows of `SPAN_ARRAYS`, by their numbers."""
        return {number: self._names.id_of(number) for number in {row[3] for row in rows}}

    def open_spans(self, limit: int) -> Sequence[Span]:
        """Return open spans, the oldest first."""

        def read(day: int, connection: sqlite3.Connection) -> list[Span]:
            rows = rows_in(connection.execute(_OPEN, (limit,)).fetchone())
            operations, ids = self._operations(day, connection), self._process_ids(rows)
            return [
                span for row in rows for span in spans_in([row[:-1]], row[-1], day, operations, ids)
            ]

        spans = [span for found in self._of_days(read) for span in found]
        return sorted(spans, key=lambda span: span.start_ns)[:limit]

    def lines_of(self, spans: Sequence[Span]) -> Mapping[tuple[str, str, str], bytes]:
        """Return the whole records of spans. See `Store.lines_of`."""
        by_day: dict[int, dict[int, Span]] = {}
        for span in spans:
            if isinstance(span.source, int):
                own = by_day.setdefault(span.source >> SOURCE_BITS, {})
                own[span.source & _NUMBER_MASK] = span
        found: dict[tuple[str, str, str], bytes] = {}
        for day, own in by_day.items():
            with self._pool.connection(file_of(self._folder, day)) as connection:
                if connection is None:
                    continue
                for number, line in connection.execute(_LINES, (orjson.dumps(list(own)).decode(),)):
                    span = own[number]
                    found[span.trace_id, span.span_id, span.process] = line
        return found

    def linking_to(self, trace_id: str, span_id: str, limit: int) -> Sequence[SpanKey]:
        """Return the ids of the spans of any trace that link to one. See `Store.linking_to`."""

        def read(_: int, connection: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
            return connection.execute(_LINKING, (target, limit)).fetchall()

        target = _blob_of(trace_id + span_id)
        found = islice(chain.from_iterable(self._of_days(read)), limit)
        return [(trace.hex(), span.hex()) for trace, span in found]

    def logs(self, query: LogQuery) -> Iterator[StoredLog]:
        """Yield logs and events, the newest first."""
        self._names.check()
        for day in days_in(self._folder):
            if query.before is not None and day > query.before[0]:
                continue
            with self._pool.connection(file_of(self._folder, day)) as connection:
                if connection is not None:
                    yield from logs_in(connection, day, query, self._names.id_of)

    def events(self, query: EventQuery) -> Iterator[RecordedEvent]:
        """Yield the events that are wanted, by their time, the newest first."""
        self._names.check()
        numbers = None
        if query.process:
            numbers = self._names.numbers_where(lambda one: is_of_process(one, query.process))

        def of_day(day: int) -> Iterator[RecordedEvent]:
            with self._pool.connection(file_of(self._folder, day)) as connection:
                if connection is not None:
                    yield from events_in(connection, query, numbers)

        # The events of a trace are in the file of its day, whatever their own time.
        days = [of_day(day) for day in days_in(self._folder)]
        found = heapq.merge(*days, key=lambda event: event.place, reverse=True)
        yield from islice(found, max(query.limit, 0))

    def entities(self, kind: str = "") -> Sequence[StoredEntity]:
        """Return the entities that live. See `Store.entities`."""
        with self._pool.connection(self._folder / COMMON_FILE) as connection:
            return [] if connection is None else living_entities(connection, kind)

    def processes(self) -> Sequence[StoredProcess]:
        """Return all processes, those seen last first."""
        with self._pool.connection(self._folder / COMMON_FILE) as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "select id, start, latest, start_ns, seen_ns, has_ended, dropped, heartbeat_ms,"
                " change from process order by seen_ns desc"
            )
            return [
                StoredProcess(
                    id=name,
                    start=start or b"",
                    latest=latest or b"",
                    start_ns=start_ns,
                    seen_ns=seen_ns,
                    has_ended=bool(has_ended),
                    dropped=dropped,
                    heartbeat_ms=beat_ms,
                    change=change,
                )
                for name, start, latest, start_ns, seen_ns, has_ended, dropped, beat_ms, change in (
                    rows
                )
            ]

    def operations(self, since_ns: int, until_ns: int) -> Sequence[StoredOperation]:
        """Return the operations of spans that started in some time. See `Store.operations`."""
        names = self._names.id_of

        def read(_: int, connection: sqlite3.Connection) -> Sequence[StoredOperation]:
            return operations_in(connection, since_ns, until_ns, names)

        return [one for found in self._of_days(read) for one in found]

    def errors(self, since_ns: int, until_ns: int) -> Sequence[ErrorGroup]:
        """Return the errors in traces that started in some time, the frequent ones first."""
        found = [one for day in self._in_time(since_ns, until_ns, errors_in) for one in day]
        return sorted(found, key=lambda one: one.spans, reverse=True)

    def slices(self, since_ns: int, until_ns: int, width_ns: int) -> Sequence[Slice]:
        """Return how many traces started in each stretch of some time. See `Store.slices`."""

        def read(connection: sqlite3.Connection, numbers: Numbers, _: object) -> Sequence[Slice]:
            return slices_in(connection, numbers, since_ns, width_ns)

        found: dict[int, Slice] = {}
        for one in (one for day in self._in_time(since_ns, until_ns, read) for one in day):
            known = found.get(one.start_ns, Slice(one.start_ns, 0, 0))
            traces, errors = known.traces + one.traces, known.errors + one.errors
            found[one.start_ns] = Slice(one.start_ns, traces, errors)
        return sorted(found.values())

    def totals(self) -> Totals:
        """Return how much is stored."""
        query = "select count(*), sum(spans), min(start_ns) from trace where spans > 0"
        days = list(self._of_days(lambda _, one: one.execute(query).fetchone()))
        first = min((start for _, _, start in days if start is not None), default=0)
        return Totals(sum(day[0] for day in days), sum(day[1] or 0 for day in days), first)

    def attribute_names(self) -> Sequence[str]:
        """Return names of attributes that spans have, by name."""
        query = "select key from attribute"
        found = self._of_days(lambda _, one: [key for (key,) in one.execute(query)])
        return sorted({key for keys in found for key in keys})

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _of_days(self, read: Callable[[int, sqlite3.Connection], Found]) -> Iterator[Found]:
        """Yield what is read in each day, the newest first."""
        self._names.check()
        for day in days_in(self._folder):
            with self._pool.connection(file_of(self._folder, day)) as connection:
                if connection is None:
                    continue
                found = read(day, connection)
            yield found  # whoever needs no further day leaves the connection to others

    def _in_time(
        self,
        since_ns: int,
        until_ns: int,
        read: Callable[[sqlite3.Connection, Numbers, Callable[[int], str]], Found],
    ) -> Iterator[Found]:
        """Yield what is read of the traces that started in some time in each day."""
        self._names.check()
        for day in days_in(self._folder):
            first = max(since_ns - start_of(day), 0) // 1_000
            beyond = min(until_ns - start_of(day), DAY_NS) // 1_000
            if first < beyond:
                with self._pool.connection(file_of(self._folder, day)) as connection:
                    if connection is None:
                        continue
                    found = read(connection, (first, beyond), self._names.id_of)
                yield found


def _blob_of(ids: str) -> bytes:
    """Return the bytes of one or more ids; none of them if they are not ids."""
    try:
        return bytes.fromhex(ids)
    except ValueError:
        return b""
