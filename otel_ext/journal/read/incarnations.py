"""Derives the state of one incarnation from its lines: identity, open spans, last sign of life.

Lines are added one by one, from segments and ring buffers in any order of the files; only
those that still matter are kept.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.liveness import (
    Liveness,
    ProcessIdentity,
    identity_from_id,
    identity_of,
    liveness_of,
)
from otel_ext.journal.read.open_spans import START, OpenSpans, RunningSpan, decode
from otel_ext.journal.read.silence import silence_limit
from otel_ext.record.model import EMPTY, Process, Record
from otel_ext.record.timestamps import time_of
from otel_ext.runtime.process.records import PROCESS_START, process_from, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.journal.read.scanner import Line

__all__ = [
    "IncarnationReader",
    "IncarnationState",
    "SequenceNumbers",
    "base_id",
    "estimate_last_seen_ns",
    "may_begin_segment",
    "modified_ns",
]

_COMPAT: Final = b'{"timestamp":'
# A record waits in the ring buffer for less time than this, unless the disk hangs.
_AHEAD_NS: Final = 2_000_000_000
_SUB_ID: Final = re.compile(r"(.+-[0-9a-f]{8})\.\d+", re.ASCII)


class IncarnationState(NamedTuple):
    """The state of one incarnation of a process, according to its records.

    Attributes:
        process: Its facts.
        identity: Identifies it among other processes.
        liveness: Whether it lives.
        running: Its open spans, oldest first. If it is dead: what it was doing.
        last_seen_ns: When it was last known to be alive, nanoseconds since the epoch.
        stamp_ns: When its worker last stamped the ring buffer; 0 without one. If that is long
            ago and the process lives, it hangs.
        heartbeat: Its last heartbeat; None if there was none.
        closed: Whether its end is recorded.
        records: How many records were read.
        files: Segments that were read, then ring buffers.
    """

    process: Process
    identity: ProcessIdentity
    liveness: Liveness
    running: tuple[RunningSpan, ...]
    last_seen_ns: int
    stamp_ns: int
    heartbeat: Record | None
    closed: bool
    records: int
    files: tuple[Path, ...]


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

    Memory grows with the open spans, not with the lines.

    Args:
        incarnation: Id of the incarnation that wrote them.
        numbers: The sequence numbers of all journals of the incarnation.
        journal: Number of the journal.

    Attributes:
        spans: Its open spans.
        has_process_start: Whether the segment that was read last has a `process.start` record.
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
        self.has_process_start = False
        self.closed = False
        self.left_open = 0
        self.records = 0
        self._process_start = b""
        self._heartbeat = b""
        self._last_text = ""
        self._last_seq = -1

    def add_ring(self, ring: RingContents) -> None:
        """Add a ring buffer, whose lines are applied after those of all segments."""
        self.rings.append(ring)
        self.numbers.in_rings.update(line.key for line in ring.lines)

    def add_line(self, line: Line, path: Path) -> None:
        """Add one line of a segment."""
        if path not in self.segments:
            self.segments.append(path)
        if line.key in self.numbers.in_rings:
            self.numbers.written.add(line.key)
        self.has_process_start = self.has_process_start or line.meta.get("event") == PROCESS_START
        if not may_begin_segment(line):
            self.spans.is_past_first_lines = True
        if self._note(line):
            self._note_start(self.spans.add_line(line))

    def begin_segment(self) -> None:
        """Start with the lines of another segment."""
        self.has_process_start = False
        self.spans.begin_segment()

    def add_ring_lines(self, *, every_segment: bool) -> None:
        """Add the lines of the ring buffers; call this after the last segment.

        Args:
            every_segment: Whether all segments were read. If not, the segment that was read
                last is newer than the drained lines of the ring buffers.
        """
        is_file_intact = self.has_process_start and not every_segment
        for ring in self.rings:
            for line in ring.lines:
                if line.key not in self.numbers.written and self._note(line):
                    self._note_start(
                        self.spans.add_ring_line(ring, line, is_file_intact=is_file_intact)
                    )

    def _note_start(self, phase: bytes) -> None:
        self.closed = self.closed and phase != START

    def _note(self, line: Line) -> bool:
        """Note the facts in a line; return whether it is of a span."""
        self.records += 1
        meta = line.meta
        process, seq = line.key
        if seq > self.numbers.last.get(process, -1):
            self.numbers.last[process] = seq
        self.processes[process] = None
        text = meta.get("timestamp")
        # Not the latest time: a program may set the time of a span, and a clock may be set back.
        if isinstance(text, str) and seq >= self._last_seq:
            self._last_seq, self._last_text = seq, text
        if meta.get("kind") == "process":
            self._apply_process(line, meta)
        return meta.get("kind") == "span"

    def _apply_process(self, line: Line, meta: Mapping[str, object]) -> None:
        event = meta.get("event")
        if event == PROCESS_START:
            self._process_start = self._process_start or line.data
        elif event == "process.heartbeat":
            self._heartbeat = line.data
        elif event == "process.end":
            # A `process.end` that reports open spans does not close the journal.
            self.left_open = whole_number(meta.get("open_spans"))
            self.closed = not self.left_open

    def running(self) -> tuple[RunningSpan, ...]:
        """Return the open spans, oldest first."""
        found = self.spans.running(lambda _: bool(self._process_start))
        return tuple(sorted(found, key=lambda span: span.start.time_ns))

    @property
    def stamp_ns(self) -> int:
        """When the worker last stamped a ring buffer; before the first time, its creation."""
        return max((ring.stamp_ns for ring in self.rings), default=0)

    def last_seen_ns(self, now_ns: int) -> int:
        """Return when the process was last alive; see `estimate_last_seen_ns`."""
        return estimate_last_seen_ns(
            time_of(self._last_text), self.stamp_ns, modified_ns(self.segments), now_ns
        )

    @property
    def is_compat(self) -> bool:
        """Whether the lines also have the timestamp at the top level."""
        return self._process_start.startswith(_COMPAT)

    @property
    def silence_limit(self) -> float:
        """Seconds of silence after which the process counts as dead."""
        process, _ = self.facts()
        return silence_limit(process.heartbeat_ms, has_ring=bool(self.rings))

    def facts(self) -> tuple[Process, ProcessIdentity]:
        """Return the process and its identity, from the source with the most facts."""
        start = decode(self._process_start)
        extra = EMPTY if start is None else start.extra
        process = process_from(self.id, extra)
        for ring in self.rings:
            if (identity := ring.identity) is not None:
                if not process.pid:
                    process = Process(self.id, *identity[:4], pid_namespace=identity.pid_namespace)
                return process, identity
        if process.pid:
            return process, identity_of(process)
        identity = identity_from_id(self.id) or ProcessIdentity(0)
        process = Process(self.id, identity.pid, identity.start_time, identity.boot_id)
        return process, identity

    def state(self, now_ns: int) -> IncarnationState:
        """Return the state after all lines added so far."""
        process, identity = self.facts()
        return IncarnationState(
            process=process,
            identity=identity,
            liveness=liveness_of(identity),
            running=self.running(),
            last_seen_ns=self.last_seen_ns(now_ns),
            stamp_ns=self.stamp_ns,
            heartbeat=decode(self._heartbeat),
            closed=self.closed,
            records=self.records,
            files=(*self.segments, *(ring.path for ring in self.rings)),
        )


def may_begin_segment(line: Line) -> bool:
    """Return whether a segment may begin with this line: a process or span start."""
    return line.meta.get("phase") == "start" or line.meta.get("event") == PROCESS_START


def estimate_last_seen_ns(record_ns: int, stamp_ns: int, file_ns: int, now_ns: int) -> int:
    """Return when a process was last alive; never a time in the future.

    It is the time of the last record, unless that is clearly later than the last stamp
    and the last write. All arguments are nanoseconds since the epoch.

    Args:
        record_ns: The time of its last record; 0 without one.
        stamp_ns: When its worker last stamped a ring buffer; 0 without one.
        file_ns: When one of its files was last written to; 0 if unknown.
        now_ns: The current time.

    >>> estimate_last_seen_ns(5_000_000_000, 4_000_000_000, 0, 9_000_000_000)
    5000000000
    """
    latest = max(stamp_ns, file_ns)
    if latest and record_ns > latest + _AHEAD_NS:
        record_ns = latest
    return min(max(record_ns, stamp_ns), now_ns)


def modified_ns(paths: Iterable[Path]) -> int:
    """Return when one of the files was last written to; 0 if that is unknown for all."""
    newest = 0
    for path in paths:
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime_ns)
    return newest
