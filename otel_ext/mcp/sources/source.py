"""Where the tools get traces from: a folder of records, or a server; both give the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = [
    "ErrorLine",
    "ListQuery",
    "Listing",
    "ProcessNow",
    "Running",
    "RunningSpan",
    "Source",
    "Trace",
    "TraceLine",
]


class RunningSpan(NamedTuple):
    """A span that has started and not ended.

    Attributes:
        trace_id: Its trace.
        span_id: Its id.
        parent_span_id: The parent's id; empty for a root.
        name: Its name.
        process: The id of its process.
        state: How it stands, such as `running` or `hung`.
        start_ns: When it started, nanoseconds since the epoch.
        age_ns: For how long it has been open, nanoseconds.
        where: Where it is in the code now; empty if that is unknown.
        opened_at: Where it was opened; empty if that is unknown.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    process: str
    state: str
    start_ns: int
    age_ns: int
    where: str
    opened_at: str


class ProcessNow(NamedTuple):
    """A process that may run.

    Attributes:
        id: Its id.
        label: Its pid, and its service or command.
        condition: Whether it is alive, hung, dead or something else.
        last_seen_ns: When it was last active, nanoseconds since the epoch; 0 if unknown.
        dropped: How many of its records were dropped.
    """

    id: str
    label: str
    condition: str
    last_seen_ns: int
    dropped: int


class Running(NamedTuple):
    """What runs now.

    Attributes:
        spans: The open spans, the oldest first.
        total: How many there are, also those that are not among `spans`.
        processes: The processes that may run.
        now_ns: When it was seen, nanoseconds since the epoch.
    """

    spans: Sequence[RunningSpan]
    total: int
    processes: Sequence[ProcessNow]
    now_ns: int


class ListQuery(NamedTuple):
    """Which traces are wanted.

    Attributes:
        search: A search; empty for all.
        since_ns: Only traces that started then or later, nanoseconds since the epoch.
        order: `newest`, `oldest`, `longest` or `shortest` first.
        limit: How many at most.
        cursor: Where to go on, from an earlier answer; empty for the beginning.
    """

    search: str
    since_ns: int
    order: str
    limit: int
    cursor: str


class TraceLine(NamedTuple):
    """What a list shows of a trace.

    Attributes:
        trace_id: Its id.
        start_ns: When it started, nanoseconds since the epoch.
        duration_ns: How long it took, or has taken so far.
        name: The name of its root.
        service: The service of its root; may be empty.
        state: The worst state of its spans.
        spans: How many spans it has.
        open: How many of them have no end.
        errors: How many have failed.
        found: How many spans the search has found; None without a search.
        matches: The ids of the first of them.
    """

    trace_id: str
    start_ns: int
    duration_ns: int
    name: str
    service: str
    state: str
    spans: int
    open: int
    errors: int
    found: int | None
    matches: Sequence[str]


class Listing(NamedTuple):
    """Some traces.

    Attributes:
        traces: The traces.
        cursor: Where to go on; empty if there are no more.
        searched_until_ns: Up to where was searched when the time for it ran out,
            nanoseconds since the epoch; 0 if it did not.
        note: What a reader has to know besides; may be empty.
    """

    traces: Sequence[TraceLine]
    cursor: str
    searched_until_ns: int = 0
    note: str = ""


class Trace(NamedTuple):
    """One trace.

    Attributes:
        trees: Its tree; several if processes use its id for different traces.
        services: The service of each process, by its id.
        labels: How each process is called, by its id.
        where: By its key, where each open span is that was seen in a process that may run;
            empty if that is unknown.
        logs: How many logs and events it has.
        matches: For each tree, the numbers of the spans that the search has found; None without
            a search.
    """

    trees: Sequence[TraceTree]
    services: Mapping[str, str]
    labels: Mapping[str, str]
    where: Mapping[SpanKey, str]
    logs: int
    matches: Sequence[Collection[int]] | None = None


class ErrorLine(NamedTuple):
    """Spans of one operation that failed with the same text.

    Attributes:
        service: Their service; may be empty.
        name: Their name.
        text: The text of the error.
        spans: How many they are.
        place: Where they were opened; empty if that is unknown.
        last_ns: When the last of them ended, nanoseconds since the epoch.
        trace_id: The trace of the newest.
        span_id: The id of the newest.
    """

    service: str
    name: str
    text: str
    spans: int
    place: str
    last_ns: int
    trace_id: str
    span_id: str


class Source(Protocol):
    """Answers questions about traces; each may raise a `UsageError` with a way out."""

    def about(self) -> str:
        """Return what is read, as a few words."""
        ...

    def running(self) -> Running:
        """Return what runs now."""
        ...

    def traces(self, query: ListQuery) -> Listing:
        """Return some traces."""
        ...

    def trace(self, trace_id: str, search: str = "") -> Trace:
        """Return one trace, and what a search finds in it; an empty text is no search."""
        ...

    def records(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the whole record of a span; several if processes use its ids."""
        ...

    def errors(self, since_ns: int) -> Sequence[ErrorLine]:
        """Return errors since a time, nanoseconds since the epoch; the most frequent first."""
        ...

    def logs(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the logs and events of a trace by time, or those of one of its spans."""
        ...
