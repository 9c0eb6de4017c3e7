"""Derives the state of one incarnation from its lines: identity, open spans, last activity.

Lines are added one by one, from segments and ring buffers in any order of the files; only
those that still matter are kept.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.read.facts import IncarnationFacts, estimate_last_seen_ns
from otel_ext.journal.read.open_spans import START, OpenSpans, RunningSpan, decode
from otel_ext.record.timestamps import time_of
from otel_ext.runtime.process.records import (
    PROCESS_END,
    PROCESS_HEARTBEAT,
    PROCESS_START,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.journal.read.scanner import Line

__all__ = ["IncarnationReader", "SequenceNumbers", "base_id", "modified_ns"]

_COMPAT: Final = b'{"timestamp":'
_SUB_ID: Final = re.compile(r"(.+-[0-9a-f]{8})\.\d+", re.ASCII)


def base_id(process: str) -> str:
    """Return the incarnation's id in a record's process id.

    >>> base_id("b0-7-1-00000000.2"), base_id("b0-7-1-00000000")
    ('b0-7-1-00000000', 'b0-7-1-00000000')
    """
    match = _SUB_ID.fullmatch(process)
    return process if match is None else match[1]


class SequenceNumbers:
    """The sequence numbers of one incarnation's records, over all its journals.

    Attributes:
        last: The highest number of each process id.
        in_rings: Process id and number of each record in a ring buffer.
        written: Those of them that are in a file, too.
    """

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.in_rings: set[tuple[str, int]] = set()
        self.written: set[tuple[str, int]] = set()

    def next_for(self, process: str) -> int:
        """Return the next number of a process id, for a record written on its behalf."""
        number = self.last[process] = self.last.get(process, 0) + 1
        return number


class IncarnationReader:
    """Takes the lines of one journal and keeps those that still matter.

    Memory grows with the open spans, not with the lines. The sequence numbers are those of all
    journals of the incarnation.
    """

    def __init__(
        self, incarnation: str, numbers: SequenceNumbers | None = None, journal: int = 0
    ) -> None:
        self.id = incarnation
        self.journal = journal
        self.numbers = numbers or SequenceNumbers()
        self.processes: dict[str, None] = {}
        self.rings: list[RingContents] = []
        self.segments: list[Path] = []
        self.spans = OpenSpans()
        self.closed = False
        self.left_open = 0
        self._process_start = b""
        self._heartbeat = b""
        self._last_text = ""
        self._last_seq = -1

    def add_ring(self, ring: RingContents) -> None:
        """Add a ring buffer, whose lines are applied after those of all segments."""
        self.rings.append(ring)
        self.numbers.in_rings.update(line.key for line in ring.lines)

    def add_line(self, line: Line) -> None:
        """Add one line of a segment."""
        key = line.key
        if key in self.numbers.in_rings:
            self.numbers.written.add(key)
        if self._note(line, *key):
            self._note_start(self.spans.add_line(line))
        elif line.meta.get("event") != PROCESS_START:
            self.spans.is_past_first_lines = True

    def add_ring_lines(self) -> None:
        """Add the lines of the ring buffers; call this after the last segment."""
        for ring in self.rings:
            for line in ring.lines:
                if line.key not in self.numbers.written and self._note(line, *line.key):
                    # All segments were read, so a drained start counts, too.
                    self._note_start(self.spans.add_ring_line(ring, line, is_file_intact=False))

    def _note_start(self, phase: bytes) -> None:
        self.closed = self.closed and phase != START

    def _note(self, line: Line, process: str, seq: int) -> bool:
        """Note the facts in a line; return whether it is of a span."""
        meta = line.meta
        if seq > self.numbers.last.get(process, -1):
            self.numbers.last[process] = seq
        self.processes[process] = None
        text = meta.get("timestamp")
        # Not the latest time: a program may set the time of a span, and a clock may be set back.
        if isinstance(text, str) and seq >= self._last_seq:
            self._last_seq, self._last_text = seq, text
        kind = meta["kind"]
        if kind == "process":
            self._apply_process(line, meta)
        return kind == "span"

    def _apply_process(self, line: Line, meta: Mapping[str, object]) -> None:
        event = meta.get("event")
        if event == PROCESS_START:
            self._process_start = self._process_start or line.data
        elif event == PROCESS_HEARTBEAT:
            self._heartbeat = line.data
        elif event == PROCESS_END:
            # A `process.end` that reports open spans does not close the journal.
            self.left_open = whole_number(meta.get("open_spans"))
            self.closed = not self.left_open

    def running(self) -> tuple[RunningSpan, ...]:
        """Return the open spans, oldest first."""
        found = self.spans.running(lambda _: bool(self._process_start))
        return tuple(sorted(found, key=lambda span: span.start.time_ns))

    def last_seen_ns(self, now_ns: int) -> int:
        """Return when the process was last alive; see `estimate_last_seen_ns`."""
        stamp_ns = max((ring.stamp_ns for ring in self.rings), default=0)
        record_ns, file_ns = time_of(self._last_text), modified_ns(self.segments)
        return estimate_last_seen_ns(record_ns, stamp_ns, file_ns, now_ns)

    @property
    def is_compat(self) -> bool:
        """Whether the lines also have the timestamp at the top level."""
        return self._process_start.startswith(_COMPAT)

    def facts(self) -> IncarnationFacts:
        """Return what the lines added so far show of the process."""
        start, heartbeat = decode(self._process_start), decode(self._heartbeat)
        return IncarnationFacts(self.id, start, heartbeat, self.rings)


def modified_ns(paths: Iterable[Path]) -> int:
    """Return when one of the files was last written to; 0 if that is unknown for all."""
    newest = 0
    for path in paths:
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime_ns)
    return newest
