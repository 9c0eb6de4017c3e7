"""Spans as trees: one record a span, each under its parent, traces by their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.journal.files import list_segments
from otel_ext.journal.layout import BOX_FOLDER, BOX_SUFFIX
from otel_ext.journal.reader import Located, read_box, read_records
from otel_ext.record.decode import decode_line
from otel_ext.record.merge import Merger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["Node", "Trace", "make_forest", "read_spans", "start_of"]

_MAX_INDENT: Final = 40


class Node(NamedTuple):
    """A span in its tree.

    Attributes:
        record: What is known of it.
        depth: How many spans stand above it.
        branch: What to draw before it.
    """

    record: Record
    depth: int
    branch: str


class Trace(NamedTuple):
    """The spans of one trace, in the order of their trees.

    Attributes:
        trace_id: Its id.
        start_ns: The earliest start, nanoseconds since the epoch.
        nodes: Parents before children, children by their start.
    """

    trace_id: str
    start_ns: int
    nodes: tuple[Node, ...]


def read_spans(places: Iterable[Path]) -> tuple[dict[SpanKey, Record], int]:
    """Return the winning record of each span, and how many stretches were no records.

    Args:
        places: Folders of records, whose black boxes count too, or single files.
    """
    merger = Merger()
    skipped = 0
    for place in places:
        for path in [place] if place.is_file() else list_segments(place):
            for item in read_records(path):
                if isinstance(item, Located):
                    merger.add(item.record)
                else:
                    skipped += 1
        # After the files: what is not in a file yet is in the box.
        for path in sorted((place / BOX_FOLDER).glob(f"*{BOX_SUFFIX}")):
            for line in read_box(path).lines:
                try:
                    merger.add(decode_line(line.data))
                except RecordError:
                    skipped += 1
    return dict(merger.spans), skipped


def start_of(record: Record) -> int:
    """Return when the span of a record started, nanoseconds since the epoch."""
    if record.phase == "end":
        return record.start_ns
    age = record.extra.get("age_ns")
    return record.time_ns - age if type(age) is int else record.time_ns


def make_forest(spans: Iterable[Record], *, ascii_only: bool = False) -> list[Trace]:
    """Return the traces, oldest first; a span whose parent is not there stands at the top.

    Args:
        spans: One record a span.
        ascii_only: Whether the branches must do without Unicode.
    """
    by_trace: dict[str, list[Record]] = {}
    for record in spans:
        by_trace.setdefault(record.trace_id, []).append(record)
    traces: list[Trace] = []
    for trace_id, records in by_trace.items():
        records.sort(key=start_of)
        nodes = tuple(_walk(records, ascii_only=ascii_only))
        traces.append(Trace(trace_id, start_of(records[0]), nodes))
    return sorted(traces, key=lambda trace: trace.start_ns)


def _walk(records: list[Record], *, ascii_only: bool) -> Iterator[Node]:
    tee, corner, bar = ("|- ", "`- ", "|  ") if ascii_only else ("├─ ", "└─ ", "│  ")
    known = {record.span_id for record in records}
    children: dict[str, list[Record]] = {}
    roots: list[Record] = []
    for record in records:
        parent = record.parent_span_id
        if parent in known and parent != record.span_id:
            children.setdefault(parent, []).append(record)
        else:
            roots.append(record)
    seen: set[str] = set()
    # Parents in a circle have no root; what was not reached begins a tree of its own.
    for root in (*roots, *records):
        waiting = [(root, 0, "", "")]
        while waiting:
            record, depth, branch, below = waiting.pop()
            if record.span_id in seen:
                continue
            seen.add(record.span_id)
            yield Node(record, depth, branch)
            mine = children.get(record.span_id, [])
            for child in reversed(mine):
                is_last = child is mine[-1]
                deeper = below + ("   " if is_last else bar) if depth < _MAX_INDENT else below
                waiting.append((child, depth + 1, below + (corner if is_last else tee), deeper))
