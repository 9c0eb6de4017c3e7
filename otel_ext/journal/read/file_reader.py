"""Reads a file of records fast and keeps the spans that are open in it.

A journal grows to hundreds of thousands of lines of which few matter: the starts
without an end. Our encoder writes ids and phase at known positions, so the fast path
finds them by a few searches in the bytes; only lines of open spans are decoded. Lines
of any other form, and damaged ones, take the slow path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.journal.read.follow import FollowedFile
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.open_spans import END, START, Key, OpenSpans, decode, key_of
from otel_ext.journal.read.scanner import Line, scan_line
from otel_ext.record.entities import NewestEntities, entity_in
from otel_ext.runtime.process.records import PROCESS_HEARTBEAT, PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.journal.read.scanner import Block
    from otel_ext.record.model import Record

__all__ = ["FileReader"]

_HEADS: Final = (b'{"__tracer_meta__":{"timestamp":"', b'{"timestamp":"')
_SECOND_HEAD: Final = b'{"__tracer_meta__":{'
_KIND: Final = b',"version":2,"kind":"'
_SPAN: Final = b'span","phase":"'
_PROCESS: Final = b'process"'
_TRACE: Final = b'","trace_id":"'
_ENTITY: Final = b',"entity":{"'
# So many outdated records are cached at least: each may be of a megabyte.
_MOST_OUTDATED: Final = 50
_KEY_BYTES: Final = 32 + len(b'","span_id":"') + 16


class FileReader:
    """Reads one file, and later what was added to it.

    Memory grows with the open spans, not with the lines.

    Attributes:
        spans: Its open spans.
        entities: The newest line of each entity that lives.
        ends_after_mark: Keys whose end the last `read` found beyond its mark.
        previous: The segment before, if it still counts, else None.
        started: Ids of the incarnations with a record of their process in the file.
        processes: Newest `process.start` line by the process's id.
        heartbeats: Newest heartbeat line by the process's id.
        last_text: The timestamp in the last line that our encoder wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.previous: FileReader | None = None
        self._file = FollowedFile(path, self._reset)
        self._decoded: dict[bytes, Record | None] = {}
        self._reset()

    def _reset(self) -> None:
        self.spans = OpenSpans()
        self.entities: NewestEntities[bytes] = NewestEntities()
        self.ends_after_mark: set[Key] = set()
        self.started: set[str] = set()
        self.processes: dict[str, bytes] = {}
        self.heartbeats: dict[str, bytes] = {}
        self.last_text = ""

    def open_spans(self, rings: Iterable[RingContents]) -> OpenSpans:
        """Return the open spans with the lines of the ring buffers, and note their processes.

        While the first lines of a segment are incomplete, the previous segment counts too.
        """
        if self.spans.is_past_first_lines or self.previous is None:
            spans = self.spans.copy(self.ends_after_mark)
        else:
            previous = self.previous
            spans = previous.spans.copy(previous.ends_after_mark)
            for key, line in self.spans.starts.items():
                spans.add(key, START, line)
            spans.ended |= self.ends_after_mark
        for ring in rings:
            is_intact = ring.id in self.started
            for one in ring.lines:
                if one.meta["kind"] == "span":
                    spans.add_ring_line(ring, one, is_file_intact=is_intact)
                elif one.meta["kind"] == "process":
                    self.add_process_line(one)
        return spans

    def living_entities(self, rings: Iterable[RingContents]) -> list[bytes]:
        """Return the newest line of each entity that lives, with those in the ring buffers."""
        newest: NewestEntities[bytes] = NewestEntities()
        if not self.spans.is_past_first_lines and self.previous is not None:
            newest.update(self.previous.entities)
        newest.update(self.entities)
        for ring in rings:
            is_intact = ring.id in self.started
            for one in ring.lines:
                if one.meta["kind"] == "event" and not (is_intact and ring.is_drained(one)):
                    _add_entity(newest, one)
        return [line for _, line in newest.living()]

    def add_ends_of(self, earlier: FileReader) -> None:
        """Add the ends in an earlier segment, for lines in the ring buffer."""
        self.ends_after_mark |= earlier.ends_after_mark | earlier.spans.ended

    def read(self, mark: int = 0) -> None:
        """Read the lines that were added since the last call; damaged lines are skipped.

        `mark` is the size of the file before the ring buffers were read.
        """
        self.ends_after_mark = set()
        for block in self._file.added():
            self._read_lines(block, mark)

    def _read_lines(self, block: Block, mark: int) -> None:
        at = block.offset
        add = self.spans.add
        for line in block.lines:
            start = at
            at += len(line) + 1
            kind = line.find(_KIND)
            if (
                kind < 0
                or not line.startswith(_HEADS)
                or not line.endswith(b"}")
                or b"\0" in line
                or line.find(_SECOND_HEAD, 1) > 0
            ):
                self._read_slowly(line, start, mark)
                continue
            kind += len(_KIND)
            if line.startswith(_SPAN, kind):
                ids = line.find(_TRACE, 0, kind) + len(_TRACE)
                key = line[ids : ids + _KEY_BYTES]
                phase = line[kind + len(_SPAN) : kind + len(_SPAN) + 1]
                add(key, phase, line)
                if phase == END and at > mark:
                    self.ends_after_mark.add(key)
            elif line.startswith(_PROCESS, kind) or line.find(_ENTITY, kind) > 0:
                self._read_slowly(line, start, mark)
            else:
                self.spans.is_past_first_lines = True
        self._note_time(block.lines[-1])

    def _note_time(self, line: bytes) -> None:
        for head in _HEADS:
            if line.startswith(head):
                end = line.find(b'"', len(head))
                self.last_text = line[len(head) : end].decode("ascii", "replace")

    def _read_slowly(self, line: bytes, start: int, mark: int) -> None:
        for item in scan_line(line, start):
            if not isinstance(item, Line):
                continue
            kind = item.meta.get("kind")
            if kind == "span":
                if self.spans.add_line(item) == END and start + len(line) + 1 > mark:
                    self.ends_after_mark.add(key_of(item.meta))
            elif kind == "process":
                self.add_process_line(item)
                self.started.add(base_id(item.key[0]))
                if item.meta.get("event") != PROCESS_START:
                    self.spans.is_past_first_lines = True
            elif not _add_entity(self.entities, item):
                self.spans.is_past_first_lines = True

    def add_process_line(self, line: Line) -> None:
        """Keep a `process.start` or heartbeat line."""
        process = str(line.meta.get("process"))
        event = line.meta.get("event")
        if event == PROCESS_START:
            self.processes[process] = line.data
        elif event == PROCESS_HEARTBEAT:
            self.heartbeats[process] = line.data

    def decode(self, line: bytes) -> Record | None:
        """Return the record in `line`, and cache it; None if the line is not a valid record."""
        if line not in self._decoded:
            self._decoded[line] = decode(line)
        return self._decoded[line]

    def process_record(self, name: str, what: str) -> Record | None:
        """Return the newest record `what` (`start` or `heartbeat`) of the process `name`."""
        line = (self.processes if what == "start" else self.heartbeats).get(name)
        if line is None:
            return None if self.previous is None else self.previous.process_record(name, what)
        return self.decode(line)

    def process_ids(self) -> list[str]:
        """Return the ids of the processes whose `process.start` record was read."""
        return [*self.processes, *(self.previous.process_ids() if self.previous else ())]

    def forget_decoded(self) -> None:
        """Drop cached records of lines that no longer count once there are many."""
        spans = self.spans
        count = len(spans.starts) + len(spans.updates) + len(self.processes) + len(self.heartbeats)
        count += len(self.entities)
        if len(self._decoded) > 2 * count + _MOST_OUTDATED:
            lines = {*spans.starts.values(), *spans.updates.values()}
            lines.update(self.processes.values(), self.heartbeats.values())
            lines.update(line for _, line in self.entities.living())
            self._decoded = {line: one for line, one in self._decoded.items() if line in lines}


def _add_entity(newest: NewestEntities[bytes], line: Line) -> bool:
    """Add a line whose record is about an entity; return whether it is."""
    entity, seq = entity_in(line.meta), line.meta.get("seq")
    if entity is None or not isinstance(seq, int):
        return False
    newest.add(str(line.meta.get("process")), entity, seq, line.data)
    return True
