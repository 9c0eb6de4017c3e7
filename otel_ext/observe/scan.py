"""Reads a file of records fast and keeps the spans that are open in it.

A journal grows to hundreds of thousands of lines of which few matter: the starts
without an end. Our encoder writes ids and phase at known positions, so the fast path
finds them by a few searches in the bytes; only lines of open spans are decoded. Lines
of any other form, and damaged ones, take the slow path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_ext.errors import RecordError
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.scanner import Line, scan_descriptor
from otel_ext.record.decode import decode_line
from otel_ext.runtime.process.records import PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otel_ext.record.model import Record

__all__ = ["FileReader", "Key", "key_of"]

Key = bytes
"""A span's two ids as a line contains them: `TRACE","span_id":"SPAN`."""

_BLOCK: Final = 1024 * 1024
_HEADS: Final = (b'{"__tracer_meta__":{"timestamp":"', b'{"timestamp":"')
_SECOND_HEAD: Final = b'{"__tracer_meta__":{'
_KIND: Final = b',"version":2,"kind":"'
_SPAN: Final = b'span","phase":"'
_PROCESS: Final = b'process"'
_TRACE: Final = b'","trace_id":"'
_ABANDONED: Final = b',"abandoned":"'
_KEY_BYTES: Final = 32 + len(b'","span_id":"') + 16
_START, _UPDATE, _END = b"s", b"u", b"e"


def key_of(meta: Mapping[str, object]) -> Key:
    """Return the key of the span in a line's metadata."""
    return f'{meta.get("trace_id")}","span_id":"{meta.get("span_id")}'.encode()


class FileReader:
    """Reads one file, and later what was added to it.

    Memory grows with the open spans, not with the lines.

    Attributes:
        starts: Start lines of spans without an end, by key.
        updates: Newest update line of such spans.
        ended: Keys whose end came before its start was known, or whose start may come again:
            a start that follows is ignored.
        ends_after_mark: Keys whose end the last `read` found beyond its mark.
        is_preamble_complete: Whether the file holds more than the first lines of a segment,
            so that these, which repeat the open spans, are complete.
        previous: The segment before, if it still counts, else None.
        processes: Newest `process.start` line by the process's id.
        heartbeats: Newest heartbeat line by the process's id.
        last_text: The timestamp in the last line that our encoder wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.previous: FileReader | None = None
        self._decoded: dict[Key, tuple[bytes, Record | None]] = {}
        self._reset()

    def _reset(self) -> None:
        self._offset = 0
        self._inode = 0
        self.starts: dict[Key, bytes] = {}
        self.updates: dict[Key, bytes] = {}
        self.ended: set[Key] = set()
        self.ends_after_mark: set[Key] = set()
        self.is_preamble_complete = False
        self._started: set[str] = set()
        self._repeated: set[Key] = set()
        self.processes: dict[str, bytes] = {}
        self.heartbeats: dict[str, bytes] = {}
        self.last_text = ""

    def open_lines(self) -> tuple[dict[Key, bytes], dict[Key, bytes]]:
        """Return copies of the start and update lines of the open spans, by key.

        While a segment's preamble is incomplete, the previous segment counts too.
        """
        if self.is_preamble_complete or self.previous is None:
            return dict(self.starts), dict(self.updates)
        previous = self.previous
        starts, updates = previous.open_lines()
        starts |= {key: line for key, line in self.starts.items() if not previous.has_ended(key)}
        return starts, updates

    def add_ends_of(self, earlier: FileReader) -> None:
        """Add the ends in an earlier segment, for lines in the ring buffer."""
        self.ends_after_mark |= earlier.ends_after_mark | earlier.ended

    def has_ended(self, key: Key) -> bool:
        """Return whether a start or update of the span in another file must be ignored."""
        return key in self.ended or key in self.ends_after_mark

    @property
    def has_process_start(self) -> bool:
        """Whether the file holds a `process.start` record."""
        return bool(self._started)

    def has_started(self, process: str) -> bool:
        """Return whether the file holds the `process.start` record of a process.

        Args:
            process: The incarnation's id.
        """
        return process in self._started

    def size(self) -> int:
        """Return the file's size now; 0 if it is not there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def read(self, mark: int = 0) -> None:
        """Read the lines that were added since the last call; damaged lines are skipped.

        Args:
            mark: The size of the file before the ring buffers were read; ends beyond it are
                noted in `ends_after_mark`.
        """
        self.ends_after_mark = set()
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError:
            return
        try:
            status = os.fstat(descriptor)
            if self._offset and (status.st_ino != self._inode or status.st_size < self._offset):
                self._reset()
            self._inode = status.st_ino
            self._read_blocks(descriptor, mark)
        except OSError:
            return  # keep what was read so far
        finally:
            os.close(descriptor)

    def _read_blocks(self, descriptor: int, mark: int) -> None:
        pieces: list[bytes] = []
        at = self._offset
        while block := os.pread(descriptor, _BLOCK, at):
            at += len(block)
            head, newline, rest = block.rpartition(b"\n")
            if not newline:
                pieces.append(block)
                continue
            self._read_lines(b"".join([*pieces, head]).split(b"\n"), descriptor, mark)
            pieces = [rest]

    def _read_lines(self, lines: list[bytes], descriptor: int, mark: int) -> None:
        at = self._offset
        for line in lines:
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
                self._read_slowly(descriptor, start, at, mark)
                continue
            kind += len(_KIND)
            if line.startswith(_SPAN, kind):
                ids = line.find(_TRACE, 0, kind) + len(_TRACE)
                phase = kind + len(_SPAN)
                self._apply(
                    line[ids : ids + _KEY_BYTES], line[phase : phase + 1], line, fresh=at > mark
                )
            elif line.startswith(_PROCESS, kind):
                self._read_slowly(descriptor, start, at, mark)
            else:
                self.is_preamble_complete = True
        self._offset = at
        self._note_time(lines[-1])

    def _note_time(self, line: bytes) -> None:
        for head in _HEADS:
            if line.startswith(head):
                end = line.find(b'"', len(head))
                self.last_text = line[len(head) : end].decode("ascii", "replace")

    def _read_slowly(self, descriptor: int, start: int, end: int, mark: int) -> None:
        for item in scan_descriptor(descriptor, start, end):
            if not isinstance(item, Line):
                continue
            kind = item.meta.get("kind")
            if kind == "span":
                phase = str(item.meta.get("phase"))[:1].encode()
                self._apply(key_of(item.meta), phase, item.data, fresh=end > mark)
            elif kind == "process":
                self.add_process_line(item)
                self._started.add(base_id(item.key[0]))
                self.is_preamble_complete = (
                    self.is_preamble_complete or item.meta.get("event") != PROCESS_START
                )
            else:
                self.is_preamble_complete = True

    def add_process_line(self, line: Line) -> None:
        """Keep a `process.start` or heartbeat line."""
        process = str(line.meta.get("process"))
        event = line.meta.get("event")
        if event == PROCESS_START:
            self.processes[process] = line.data
        elif event == "process.heartbeat":
            self.heartbeats[process] = line.data

    def _apply(self, key: Key, phase: bytes, line: bytes, *, fresh: bool) -> None:
        if phase != _START:
            self.is_preamble_complete = True
        if phase == _END:
            self.updates.pop(key, None)
            is_first = self.starts.pop(key, None) is None
            # A start may follow the end of a span that was abandoned, and of one whose start
            # the preamble of a new file repeated before the ring buffer was drained.
            if is_first or _ABANDONED in line or key in self._repeated:
                self.ended.add(key)
            if fresh:
                self.ends_after_mark.add(key)
        elif key in self.ended:
            return
        elif phase == _UPDATE:
            self.updates[key] = line
        elif phase == _START:
            self.starts.setdefault(key, line)
            if not self.is_preamble_complete:
                self._repeated.add(key)

    def decode(self, key: Key, line: bytes, *, is_update: bool = False) -> Record | None:
        """Return the record in `line`, and cache it; None if the line is not a valid record.

        Args:
            key: Its span.
            line: The line.
            is_update: Whether it is an update, which is cached apart from the start.
        """
        slot = key + b"u" if is_update else key
        known = self._decoded.get(slot)
        if known is not None and known[0] == line:
            return known[1]
        record: Record | None
        try:
            record = decode_line(line)
        except RecordError:
            record = None
        self._decoded[slot] = (line, record)
        return record

    def process_record(self, name: str, what: str) -> Record | None:
        """Return the newest `process.start` or heartbeat of the process `name`.

        Args:
            name: The incarnation's id.
            what: `start` or `heartbeat`.
        """
        line = (self.processes if what == "start" else self.heartbeats).get(name)
        if line is None:
            return None if self.previous is None else self.previous.process_record(name, what)
        return self.decode(f"{name} {what}".encode(), line)

    def process_ids(self) -> list[str]:
        """Return the ids of the processes whose `process.start` record was read."""
        return [*self.processes, *(self.previous.process_ids() if self.previous else ())]

    def forget_decoded(self) -> None:
        """Drop cached records once many of them are of spans that have ended."""
        limit = 4 * (len(self.starts) + len(self.updates)) + 1_000
        if len(self._decoded) > limit:
            self._decoded.clear()
