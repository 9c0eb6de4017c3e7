"""Reads ring buffers: the facts in their header, and the lines in them.

Lines stay in a ring buffer for a while after they were drained to the file. It only reads, so
it works for a hung process, too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.journal.names import list_rings, parse_ring_name, segment_file
from otel_ext.journal.read.scanner import Line, Skipped, scan_descriptor
from otel_ext.journal.ring_layout import (
    HEADER_SIZE,
    LAST_LINES_AT,
    RingFacts,
    RingState,
    chunk_start,
    unpack_facts,
    unpack_state,
)
from otel_ext.record.timestamps import format_ns, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.record.model import Process

__all__ = ["RingContents", "read_ring", "read_rings"]


class RingContents(NamedTuple):
    """The content of a ring buffer.

    Attributes:
        path: Its file.
        facts: The constant part of its header; None if that is damaged.
        state: The changing part of its header; None if the header is damaged.
        lines: Its whole lines, chunk by chunk.
        skipped: Damaged ranges that were not drained yet.
    """

    path: Path
    facts: RingFacts | None
    state: RingState | None
    lines: tuple[Line, ...]
    skipped: tuple[Skipped, ...]

    @property
    def id(self) -> str:
        """The incarnation it belongs to."""
        return parse_ring_name(self.path.name)[0] if self.facts is None else self.facts.process.id

    @property
    def stream(self) -> tuple[str, int]:
        """The journal whose segments it drains to, unless it has a target."""
        return self.id, parse_ring_name(self.path.name)[1]

    @property
    def target(self) -> str:
        """Name of the file it drains to; empty if that is the incarnation's own."""
        return "" if self.facts is None else self.facts.target

    @property
    def file_name(self) -> str:
        """The file it drains to; the first one if it drains to the segments of its journal."""
        name, journal = self.stream
        return self.target or segment_file(name, 0, journal)

    @property
    def process(self) -> Process | None:
        """Its process; None if the header is damaged."""
        return None if self.facts is None else self.facts.process

    @property
    def stamp_ns(self) -> int:
        """When its worker last stamped it, or when it was made; 0 if unknown."""
        if self.facts is None or self.state is None:
            return 0
        return max(self.state.stamp_ns, self.facts.created_ns)

    @property
    def last_seq(self) -> int:
        """Number of the last record when it was stamped; 0 if unknown."""
        return 0 if self.state is None else self.state.last_seq

    @property
    def last_text(self) -> str:
        """The timestamp of the newest line, by its number; empty without lines."""
        return str(self.lines[-1].meta.get("timestamp", "")) if self.lines else ""

    def newest_ns(self, until_ns: int) -> int:
        """Return the time of the newest record that waits, at most `until_ns`; 0 without one.

        Later records are ignored, since programs may date their spans freely.
        """
        # Timestamps have the same length as text and sort like the times themselves.
        until = format_ns(until_ns)
        waiting = (line for line in self.lines if not self.is_drained(line))
        times = (str(line.meta.get("timestamp", "")) for line in waiting)
        return time_of(max((time for time in times if time <= until), default=""))

    @property
    def is_full(self) -> bool:
        """Whether no chunk has room for a line as long as the longest in it."""
        if self.facts is None:
            return False
        size = self.facts.chunk_size
        lines = [line for line in self.lines if line.offset >= HEADER_SIZE]
        last = {line.offset // size: line for line in lines}
        longest = max((len(line.data) for line in lines), default=0)
        return len(last) == self.facts.chunks and all(
            line.offset % size + len(line.data) + longest >= size for line in last.values()
        )

    def is_drained(self, line: Line) -> bool:
        """Return whether a line was in the file already when the ring buffer was read."""
        if self.facts is None or self.state is None or line.offset < HEADER_SIZE:
            return False
        index, offset = divmod(line.offset, self.facts.chunk_size)
        return index < len(self.state.drained) and offset < self.state.drained[index]


def read_rings(
    folder: Path, incarnation: str = "", *, lines: bool = True
) -> Iterator[RingContents]:
    """Yield the content of the ring buffers of a folder, or of one incarnation."""
    for path in list_rings(folder, incarnation):
        yield read_ring(path, lines=lines)


def read_ring(path: Path, *, lines: bool = True) -> RingContents:
    """Return the content, or only the header, of a ring buffer, in use or not; never raises."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return RingContents(path, None, None, (), (Skipped(0, 0, "unreadable"),))
    try:
        return _read_ring(path, descriptor, lines=lines)
    finally:
        os.close(descriptor)


def _read_ring(path: Path, descriptor: int, *, lines: bool) -> RingContents:
    header = b""
    size = 0
    with suppress(OSError):
        size = os.fstat(descriptor).st_size
        header = os.pread(descriptor, HEADER_SIZE, 0)
    facts = unpack_facts(header)
    state = None if facts is None else unpack_state(header, facts.chunks)
    if not lines:
        return RingContents(path, facts, state, (), ())
    chunks: list[list[Line]] = []
    skipped: list[Skipped] = []
    for start, end, drained in _line_areas(size, facts, state):
        chunk: list[Line] = []
        for item in scan_descriptor(descriptor, start, end):
            if isinstance(item, Line):
                chunk.append(item)
            elif (at := item.offset + item.length) > drained and not (
                item.reason == "nul" and at >= end  # what has not been filled yet
            ):
                skipped.append(item)
        chunks.append(chunk)
    if facts is None:
        skipped.insert(0, Skipped(0, min(size, HEADER_SIZE), "garbage"))
    found: dict[tuple[str, int], Line] = {}
    # The chunk that was filled first holds the lower numbers.
    for chunk in sorted(filter(None, chunks), key=lambda chunk: chunk[0].key[1]):
        for line in chunk:
            found.setdefault(line.key, line)
    return RingContents(path, facts, state, tuple(found.values()), tuple(skipped))


def _line_areas(
    size: int, facts: RingFacts | None, state: RingState | None
) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and drained offset of each area of lines, as offsets in the file.

    The areas are the chunks, and the end of the header page.
    """
    if facts is None or state is None:
        yield HEADER_SIZE, size, HEADER_SIZE
        return
    for index, drained in enumerate(state.drained):
        base = index * facts.chunk_size
        yield base + chunk_start(index), min(base + facts.chunk_size, size), base + drained
    yield LAST_LINES_AT, HEADER_SIZE, LAST_LINES_AT
