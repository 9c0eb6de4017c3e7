"""`FolderSource`: reads traces from a folder of records; it only reads, and no process notices."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.errors import errors_in
from otel_ext.analysis.traces.load import Loader
from otel_ext.analysis.traces.observed import observed_of
from otel_ext.analysis.traces.times import times_of
from otel_ext.errors import UsageError
from otel_ext.feed.feeder import RECEIVED_FOLDER
from otel_ext.journal.names import list_rings, list_segments
from otel_ext.journal.read.newest import start_of_newest
from otel_ext.mcp.sources.source import ErrorLine, Listing, ProcessNow, Running, RunningSpan, Trace
from otel_ext.mcp.sources.summaries import line_of_tree, merged_errors
from otel_ext.observe.location import opened_at
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.readable import local_time
from otel_ext.record.timestamps import time_of
from otel_ext.search.matches import matches_in
from otel_ext.search.parse import parse
from otel_ext.settings.units import MIB
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_ext.analysis.traces.loaded import Loaded
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.mcp.sources.source import ListQuery, TraceLine
    from otel_ext.observe.snapshot import Snapshot
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record
    from otel_ext.search.nodes import Node

__all__ = ["FolderSource"]

# Of a larger folder only the newest traces are kept in memory.
_LARGE: Final = 64 * MIB
_NEWEST: Final = 1_000
_SECONDS: Final = 10.0
_MOST_DIGITS: Final = 10
# Records of a trace are made until some time after its start.
_SLACK_NS: Final = 3_600 * 10**9


class _Now(NamedTuple):
    """What was read.

    Attributes:
        loaded: The spans.
        snapshot: What runs now.
        open: The open spans of the snapshot, by process and key.
    """

    loaded: Loaded
    snapshot: Snapshot
    open: dict[SpanKey, ObservedSpan]

    def trees(self) -> list[TraceTree]:
        """Return all traces."""
        return list(self.loaded.forest.trees(observed_of(self.snapshot.spans)))

    def trees_of(self, trace_id: str) -> list[TraceTree]:
        """Return one trace."""
        observed = observed_of(self.snapshot.spans)
        return list(self.loaded.forest.trees_of(trace_id, observed))


class FolderSource:
    """Reads a folder of records, at each question what is new in it.

    Args:
        folder: The folder; it need not exist yet.
        large: From how many bytes of files on only the newest traces are kept in memory.
    """

    def __init__(self, folder: Path, *, large: int = _LARGE) -> None:
        self._folder = folder
        # A server keeps there what it has received.
        self._folders = [folder, folder / RECEIVED_FOLDER]
        self._large = large
        self._snapshots = SnapshotReader(self._folders, other_hosts=True)
        self._loader: Loader | None = None
        self._since_ns = 0
        self._read_size = 0

    def about(self) -> str:
        """Return what is read, as a few words."""
        return f"the folder {printable_path(self._folder.absolute())}"

    def running(self) -> Running:
        """Return what runs now."""
        self._checked_files()
        snapshot = self._snapshots.read()
        spans = [_running_span(one) for one in snapshot.spans]
        processes = [
            ProcessNow(one.id, one.label, one.condition, one.last_seen_ns, one.dropped)
            for one in snapshot.processes
        ]
        return Running(spans, len(spans), processes, snapshot.time_ns)

    def traces(self, query: ListQuery) -> Listing:
        """Return some traces."""
        now = self._read()
        node = _node_of(query.search)
        ordered = _ordered(now.trees(), query)
        begin = _position(query.cursor)
        found: list[TraceLine] = []
        until, end = monotonic() + _SECONDS, begin
        for tree in ordered[begin:]:
            end += 1
            matches = None if node is None else matches_in(tree, node, now.loaded)
            if matches or matches is None:
                found.append(line_of_tree(tree, now.loaded.services, now.open.keys(), matches))
            if len(found) >= query.limit or monotonic() > until:
                break
        more = end < len(ordered)
        stopped = more and len(found) < query.limit
        searched_ns = ordered[end - 1].start_ns if stopped else 0
        return Listing(found, f"+{end}" if more else "", searched_ns, self._note())

    def trace(self, trace_id: str, search: str = "") -> Trace:
        """Return one trace, and what a search finds in it; an empty text is no search."""
        now, trees = self._trees_of(trace_id)
        labels = {name: one.label for name, one in now.loaded.processes.items()}
        where = {
            key: str(one.location.frame) if one.location.is_now else ""
            for key, one in now.open.items()
            if key[0] == trace_id
        }
        logs = len(now.loaded.logs.get(trace_id, ()))
        node = _node_of(search)
        matches = None if node is None else [matches_in(tree, node, now.loaded) for tree in trees]
        return Trace(trees, now.loaded.services, labels, where, logs, matches)

    def records(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the whole record of a span; several if processes use its ids."""
        now, trees = self._trees_of(trace_id)
        spans = [span for tree in trees for span in tree.spans if span.span_id == span_id]
        found: list[Record] = []
        for span in spans:
            found += now.loaded.records_of([span]).values()
        return found

    def errors(self, since_ns: int) -> Sequence[ErrorLine]:
        """Return errors since a time, by where they began; the most frequent first."""
        now = self._read()
        found: list[ErrorLine] = []
        for tree in now.trees():
            for one in errors_in(tree):
                span = tree.spans[one.span]
                end_ns = span.end_ns or 0
                if one.role == "origin" and end_ns >= since_ns:
                    service = now.loaded.services.get(span.process, "")
                    file, line, _ = span.site
                    place = f"{file}:{line}" if line else ""
                    error = ErrorLine(service, span.name, span.error, 1, place, end_ns, *span.key)
                    found.append(error)
        return merged_errors(found)

    def logs(self, trace_id: str, span_id: str) -> Sequence[Record]:
        """Return the logs and events of a trace by time, or those of one of its spans."""
        now, _ = self._trees_of(trace_id)
        logs = now.loaded.logs_of(trace_id)
        return [log for log in logs if span_id in {"", log.span_id}]

    def _trees_of(self, trace_id: str) -> tuple[_Now, list[TraceTree]]:
        now = self._read()
        trees = now.trees_of(trace_id)
        # Of an older one nothing is kept, or only the end.
        if self._since_ns and (not trees or any(tree.missing for tree in trees)):
            loader = Loader(self._folders, trace_ids=[trace_id], with_logs=True)
            now = now._replace(loaded=loader.read())
            trees = now.trees_of(trace_id)
        if not trees:
            hint = "Copy the 32 digits of an id from find_traces or running_now"
            raise UsageError("there is no trace with this id", hint=hint)
        return now, trees

    def _read(self) -> _Now:
        """Return what is there now."""
        files = self._checked_files()
        # Running spans first: a span that ends in between is then read as ended.
        snapshot = self._snapshots.read()
        size = _size_of(files)
        if self._loader is None or size - self._read_size > self._large:
            since = start_of_newest(files, _NEWEST) if size > self._large else ""
            self._since_ns = max(time_of(since) - _SLACK_NS, 1) if since else 0
            self._loader = Loader(self._folders, since_ns=self._since_ns, with_logs=True)
            self._read_size = size
        spans = {one.record.key: one for one in snapshot.spans}
        return _Now(self._loader.read(), snapshot, spans)

    def _note(self) -> str:
        if not self._since_ns:
            return ""
        since = local_time(self._since_ns, date=True)
        return (
            f"The folder is large: only what was recorded since {since} was looked at. For all,"
            " start `otel-ext serve` for it, and `otel-ext mcp --server URL`."
        )

    def _checked_files(self) -> list[Path]:
        """Return the files of records; raise an error if nothing is recorded there."""
        try:
            files = [
                file for folder in self._folders for file in list_segments(folder, or_fail=True)
            ]
            has_records = bool(files or list_rings(self._folder, or_fail=True))
        except OSError as error:
            hint = "Run otel-ext mcp as the user that wrote the records"
            message = f"{self.about()} cannot be read: {error.strerror}"
            raise UsageError(message, hint=hint) from None
        if not has_records:
            hint = (
                "Start a program: otel-ext run --output"
                f" {printable_path(self._folder.absolute())} -- python app.py"
            )
            raise UsageError(f"there are no records in {self.about()} yet", hint=hint)
        return files


def _size_of(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _running_span(one: ObservedSpan) -> RunningSpan:
    record = one.record
    return RunningSpan(
        *record.key,
        record.parent_span_id,
        record.name,
        record.process.id,
        one.state,
        one.start_ns,
        one.age_ns,
        str(one.location.frame) if one.location.is_now else "",
        str(opened_at(record)),
    )


def _node_of(search: str) -> Node | None:
    """Return what a search looks for; None for an empty text."""
    return parse(search) if search.strip() else None


def _position(cursor: str) -> int:
    """Return how many traces a list leaves out."""
    if not cursor:
        return 0
    number = cursor.removeprefix("+")
    is_number = number.isascii() and number.isdecimal() and len(number) < _MOST_DIGITS
    if number == cursor or not is_number:
        raise UsageError("the cursor is wrong", hint="Take it from the answer before")
    return int(number)


def _ordered(trees: list[TraceTree], query: ListQuery) -> list[TraceTree]:
    if query.since_ns:
        trees = [tree for tree in trees if tree.start_ns >= query.since_ns]
    if query.order in {"newest", "oldest"}:
        return sorted(trees, key=lambda tree: tree.start_ns, reverse=query.order == "newest")
    lengths = {id(tree): _length(tree) for tree in trees}
    return sorted(trees, key=lambda tree: lengths[id(tree)], reverse=query.order == "longest")


def _length(tree: TraceTree) -> int:
    times = times_of(tree)
    return max(times.ends) - min(times.starts)
