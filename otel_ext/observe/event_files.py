"""`EventFiles`: finds events in files of records and ring buffers, in use or not."""

from __future__ import annotations

import os
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.scanner import Line, open_to_read, read_blocks, scan_line
from otel_ext.observe.event_query import event_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.observe.event_query import EventPlace, EventQuery, RecordedEvent

__all__ = ["EventFiles", "events_in_lines"]

# A file that was written for the last time so long before has no record that is wanted: records
# are written at once, but a clock may be set.
_SLACK_NS: Final = 3_600 * 10**9


class EventFiles:
    """Finds events in the files and ring buffers of folders of records, and in single files.

    Every question reads the files, but for those that were last written before the time that is
    asked for. Memory is bounded by the limit of the question.

    Args:
        paths: Folders of records, and files.

    Attributes:
        problems: What the last question could not read, one text for each file.

    >>> from otel_ext.store import EventQuery
    >>> EventFiles([]).events(EventQuery())
    []
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self._paths = [Path(path) for path in paths]
        self.problems: list[str] = []

    def events(self, query: EventQuery) -> Sequence[RecordedEvent]:
        """Return the events that are wanted, the newest first; what is damaged is passed over.

        Args:
            query: Which events are wanted.
        """
        self.problems = []
        newest = _Newest(query.limit)
        for line in self._lines(query):
            for event in events_in_lines([line]):
                if query.matches(event):
                    newest.add(event)
        return newest.ordered()

    def _lines(self, query: EventQuery) -> Iterator[bytes]:
        """Yield the lines that may hold a wanted event, some of them repeatedly."""
        texts = _texts_of(query)
        for path in self._paths:
            # Before the files, where their lines go meanwhile.
            for ring in _rings_of(path):
                yield from (line.data for line in ring.lines)
            for file in list_segments(path) if path.is_dir() else [path]:
                try:
                    yield from _lines_in(file, texts, query)
                except FileNotFoundError:  # deleted meanwhile
                    pass
                except OSError as error:
                    self.problems.append(f"{file}: cannot be read: {error.strerror or error}")


def events_in_lines(lines: Iterable[bytes]) -> Iterator[RecordedEvent]:
    """Yield the events and logs in lines of records, also within damaged ones."""
    for line in lines:
        event = event_in(line)
        if event is not None:
            yield event
            continue
        for item in scan_line(line):
            if isinstance(item, Line) and item.data != line:
                event = event_in(item.data)
                if event is not None:
                    yield event


def _rings_of(path: Path) -> Iterator[RingContents]:
    """Yield the ring buffers of a folder, or those whose lines go to a file."""
    if path.is_dir():
        yield from read_rings(path)
        return
    name = parse_segment_name(path.name)
    for ring in read_rings(path.parent):
        if path.name in {ring.target, ring.file_name} or (
            name is not None and not ring.target and ring.stream == name.stream
        ):
            yield ring


def _texts_of(query: EventQuery) -> list[bytes]:
    """Return the texts of which one is in each line with a record of the wanted kinds."""
    return [f':{blank}"{kind}"'.encode() for kind in query.kinds for blank in ("", " ")]


def _lines_in(path: Path, texts: Sequence[bytes], query: EventQuery) -> Iterator[bytes]:
    trace_id = query.trace_id.encode()
    descriptor = open_to_read(path)
    try:
        if os.fstat(descriptor).st_mtime_ns + _SLACK_NS < query.since_ns:
            return
        for block in read_blocks(descriptor, 0, containing=texts):
            for line in block.lines:
                if trace_id in line and any(text in line for text in texts):
                    yield line
    finally:
        os.close(descriptor)


class _Newest:
    """Keeps the newest events, each once: a new file repeats records of the one before."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: list[EventPlace] = []
        self._events: dict[EventPlace, RecordedEvent] = {}

    def add(self, event: RecordedEvent) -> None:
        place = event.place
        if place in self._events or self._limit <= 0:
            return
        if len(self._places) >= self._limit:
            if place < self._places[0]:
                return
            del self._events[heappop(self._places)]
        heappush(self._places, place)
        self._events[place] = event

    def ordered(self) -> list[RecordedEvent]:
        return [self._events[place] for place in sorted(self._places, reverse=True)]
