"""What a store of traces does, whatever keeps them: SQLite here, a column store elsewhere.

One process writes, any number read. What is written again changes nothing, so a writer may
begin earlier than it stopped. Each change has a number; all changes after one can be asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from otel_ext.record.model import META_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.observe.event_query import EventQuery, RecordedEvent
    from otel_ext.record.merge import SpanKey
    from otel_ext.store.entities import StoredEntity
    from otel_ext.store.entries import Entry
    from otel_ext.store.queries import LogQuery, Place, TraceQuery

__all__ = [
    "ErrorGroup",
    "Position",
    "Slice",
    "Store",
    "StoreWriter",
    "StoredLog",
    "StoredOperation",
    "StoredProcess",
    "StoredSpans",
    "Totals",
    "TraceSummary",
]


class Position(NamedTuple):
    """Up to where a file was read.

    Attributes:
        file: Its path, relative to the folder of records.
        inode: Its number in the file system, which changes when it is replaced.
        offset: The bytes that were read; 0 for a file that is gone.
    """

    file: str
    inode: int
    offset: int


class TraceSummary(NamedTuple):
    """What a list shows of a trace.

    Attributes:
        trace_id: Its id.
        place: Where it stands in the order of all.
        start_ns: When its first span started, nanoseconds since the epoch.
        end_ns: The last known time of its spans.
        name: The name of its root; of its first span, if the root is not known.
        has_root: Whether the root is known.
        process: The id of the root's process.
        processes: The ids of its processes, the first of them.
        spans: How many spans it has.
        open: How many of them are open.
        stalled: How many of these are stalled.
        errors: How many have failed.
        abandoned: How many were abandoned.
        cancelled: How many were cancelled.
        is_repeated: Whether several processes use its id for different spans.
        is_agent: Whether a span of it is one of an agent.
        change: The number of its last change.
    """

    trace_id: str
    place: Place
    start_ns: int
    end_ns: int
    name: str
    has_root: bool
    process: str
    processes: tuple[str, ...]
    spans: int
    open: int
    stalled: int
    errors: int
    abandoned: int
    cancelled: int
    is_repeated: bool
    is_agent: bool
    change: int


class StoredSpans(NamedTuple):
    """Spans of one trace.

    Attributes:
        spans: The winning record of each span and process; `source` finds its record again.
        openers: The keys of span and process whose start was recorded, of spans that several
            processes have recorded.
        change: The number of the last change of the trace.
    """

    spans: Sequence[Span]
    openers: Collection[tuple[str, str]]
    change: int


class StoredLog(NamedTuple):
    """A log or an event.

    Attributes:
        place: Where it stands in the order of all.
        time_ns: When it was written, nanoseconds since the epoch.
        kind: `log` or `event`.
        level: Its level; may be empty.
        text: Its text.
        process: The id of its process.
        trace_id: Its trace; may be empty.
        span_id: Its span; may be empty.
        line: The whole record.
        change: The number of the change that stored it.
    """

    place: Place
    time_ns: int
    kind: str
    level: str
    text: str
    process: str
    trace_id: str
    span_id: str
    line: bytes
    change: int

    @property
    def attributes(self) -> dict[str, object]:
        """The user's fields in the record."""
        loaded: dict[str, object] = orjson.loads(self.line)
        return {key: value for key, value in loaded.items() if key != META_KEY}


class StoredProcess(NamedTuple):
    """A process.

    Attributes:
        id: Its id.
        start: Its `process.start` record; empty if it is not known.
        latest: Its newest heartbeat or its end; may be empty.
        start_ns: When it started, or when it was first seen, nanoseconds since the epoch.
        seen_ns: When it was last seen.
        has_ended: Whether it has recorded its end.
        dropped: How many of its records were dropped, as far as is known.
        heartbeat_ms: How often it sends heartbeats; 0 if it sends none.
        change: The number of its last change.
    """

    id: str
    start: bytes
    latest: bytes
    start_ns: int
    seen_ns: int
    has_ended: bool
    dropped: int
    heartbeat_ms: int
    change: int


class StoredOperation(NamedTuple):
    """What is known of the spans of one operation and process in some time.

    Attributes:
        name: The name of the spans.
        kind: Their kind.
        process: The id of the process.
        errors: How many have failed.
        open: How many are open.
        durations: How many have ended, by the duration in nanoseconds to which theirs is close.
        total_ns: The sum of their durations.
        longest_ns: The longest of them.
        latest_trace: The id of the newest trace with one.
    """

    name: str
    kind: str
    process: str
    errors: int
    open: int
    durations: Mapping[int, int]
    total_ns: int
    longest_ns: int
    latest_trace: str


class ErrorGroup(NamedTuple):
    """Spans of one operation and process that failed with the same error.

    Attributes:
        name: The name of the spans.
        process: The id of the process.
        file: Where they were opened.
        line: The line of it; 0 if it is unknown.
        text: The error's text.
        spans: How many there are.
        first_ns: When the first of them ended, nanoseconds since the epoch.
        last_ns: When the last of them ended.
        trace_id: The trace of the newest.
        span_id: The id of the newest.
    """

    name: str
    process: str
    file: str
    line: int
    text: str
    spans: int
    first_ns: int
    last_ns: int
    trace_id: str
    span_id: str


class Totals(NamedTuple):
    """How much is stored.

    Attributes:
        traces: How many traces.
        spans: How many spans.
        since_ns: When the first of them started, nanoseconds since the epoch; 0 without any.
    """

    traces: int
    spans: int
    since_ns: int


class Slice(NamedTuple):
    """The traces that started in one of several equal stretches of time.

    Attributes:
        start_ns: When it begins, nanoseconds since the epoch.
        traces: How many traces started in it.
        errors: In how many of them a span has failed.
    """

    start_ns: int
    traces: int
    errors: int


class StoreWriter(Protocol):
    """Writes a store; used by one thread of one process."""

    @property
    def change(self) -> int:
        """The number of the last change."""
        ...

    def write(self, entries: Sequence[Entry], positions: Sequence[Position] = ()) -> int:
        """Store entries; return the number of the last change.

        Args:
            entries: In any order; what is stored already changes nothing.
            positions: Up to where the files were read of which they come.

        Raises:
            StoreError: They are not stored, or only some of them. They may be written again.
        """
        ...

    def positions(self) -> Sequence[Position]:
        """Return up to where each file was read."""
        ...

    def forget(self) -> Sequence[str]:
        """Delete the oldest days beyond the limits; return the names of what was deleted."""
        ...

    def close(self) -> None:
        """Write what is left, and close the store."""
        ...


class Store(Protocol):
    """Reads a store, which another process may write; safe to use from several threads.

    Methods that return many things return the newest first, unless they say otherwise.
    All raise `StoreError` if the store cannot be read.
    """

    def change(self) -> int:
        """Return the number of the last change."""
        ...

    def candidates(self, query: TraceQuery, after: Place | None = None) -> Iterator[TraceSummary]:
        """Yield the traces in which a search may find something.

        Args:
            query: Which traces are wanted.
            after: Begin behind this one; only for the orders `newest` and `oldest`.
        """
        ...

    def changed_traces(self, after: int, limit: int) -> Sequence[TraceSummary]:
        """Return traces that were changed after a change, those changed last first."""
        ...

    def summary(self, trace_id: str) -> TraceSummary | None:
        """Return what is known of a trace; None if it is not stored."""
        ...

    def spans_of(self, trace_id: str, after: int = 0) -> StoredSpans:
        """Return the spans of a trace that were changed after a change, in any order.

        Of such a span, what other processes have recorded is returned, too.
        """
        ...

    def open_spans(self, limit: int) -> Sequence[Span]:
        """Return open spans, the oldest first."""
        ...

    def lines_of(self, spans: Sequence[Span]) -> Mapping[tuple[str, str, str], bytes]:
        """Return the whole records of spans, by trace, span and process id."""
        ...

    def linking_to(self, trace_id: str, span_id: str, limit: int) -> Sequence[SpanKey]:
        """Return trace and span ids of the spans of any trace that link to a span, each once.

        Those of the trace that started last come first; within a trace they are in the order of
        their ids. At most 128 links of one record are known.
        """
        ...

    def logs(self, query: LogQuery) -> Iterator[StoredLog]:
        """Yield logs and events."""
        ...

    def events(self, query: EventQuery) -> Iterator[RecordedEvent]:
        """Yield the events that are wanted, by their time."""
        ...

    def entities(self, kind: str = "") -> Sequence[StoredEntity]:
        """Return the entities that live: the newest record of each, unless that ends it.

        The end of a process ends its entities, except for checkpoints.

        Args:
            kind: Only those of this type; empty for all.
        """
        ...

    def processes(self) -> Sequence[StoredProcess]:
        """Return all processes."""
        ...

    def operations(self, since_ns: int, until_ns: int) -> Sequence[StoredOperation]:
        """Return the operations of spans that started in some time, in whole minutes."""
        ...

    def errors(self, since_ns: int, until_ns: int) -> Sequence[ErrorGroup]:
        """Return the errors in traces that started in some time, the frequent ones first."""
        ...

    def slices(self, since_ns: int, until_ns: int, width_ns: int) -> Sequence[Slice]:
        """Return how many traces started in each stretch of some time, the oldest first."""
        ...

    def totals(self) -> Totals:
        """Return how much is stored."""
        ...

    def attribute_names(self) -> Sequence[str]:
        """Return names of attributes that spans have, by name."""
        ...

    def close(self) -> None:
        """Close it."""
        ...
