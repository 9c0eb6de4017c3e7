"""Derives the state of one incarnation from its lines: identity, open spans, last sign of life.

Lines are added one by one, from segments and ring buffers in any order of the files; only
those that still matter are kept.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import RecordError
from otel_ext.journal.liveness import (
    Liveness,
    ProcessIdentity,
    identity_from_id,
    identity_of,
    liveness_of,
)
from otel_ext.journal.read.silence import silence_limit
from otel_ext.record.decode import decode_line
from otel_ext.record.model import EMPTY, Process, Record
from otel_ext.record.timestamps import parse_timestamp
from otel_ext.runtime.process.records import PROCESS_START, process_from, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from otel_ext.journal.read.scanner import Line, RingContents

__all__ = [
    "IncarnationReader",
    "IncarnationState",
    "RunningSpan",
    "SequenceNumbers",
    "base_id",
    "estimate_last_seen_ns",
    "may_begin_segment",
    "modified_ns",
    "time_of",
]

_COMPAT: Final = b'{"timestamp":'
# A record waits in the ring buffer for less time than this, unless the disk hangs.
_AHEAD_NS: Final = 2_000_000_000
_SUB_ID: Final = re.compile(r"(.+-[0-9a-f]{8})\.\d+", re.ASCII)


class RunningSpan(NamedTuple):
    """A span that has started and not ended.

    Attributes:
        start: Its start record; if that is lost, its newest update.
        update: The newest update; None without one.
    """

    start: Record
    update: Record | None


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
        has_process_start: Whether the segment that was read last has a `process.start` record.
        is_past_first_lines: Whether it has more than the first lines of a segment, so that
            these, which repeat the open spans, are complete.
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
        self.starts: dict[tuple[str, str], bytes] = {}
        self.updates: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.has_process_start = self.is_past_first_lines = False
        self.closed = False
        self.left_open = 0
        self.records = 0
        self._ended: set[tuple[str, str]] = set()
        self._repeated: set[tuple[str, str]] = set()
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
        self.is_past_first_lines = self.is_past_first_lines or not may_begin_segment(line)
        self._apply(line)

    def begin_segment(self) -> None:
        """Start with the lines of another segment."""
        self.has_process_start = self.is_past_first_lines = False
        self._repeated.clear()

    def add_ring_lines(self, *, every_segment: bool) -> None:
        """Add the lines of the ring buffers; call this after the last segment.

        Args:
            every_segment: Whether all segments were read. If not, the segment that was read
                last is newer than the drained lines of the ring buffers.
        """
        for ring in self.rings:
            for line in ring.lines:
                if line.key in self.numbers.written:
                    continue
                is_left = self.has_process_start and not every_segment and ring.is_drained(line)
                if not is_left or line.meta.get("phase") != "start":
                    self._apply(line)

    def _apply(self, line: Line) -> None:
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
        if meta.get("kind") == "span":
            self._apply_span(line, meta, seq)
        elif meta.get("kind") == "process":
            self._apply_process(line, meta)

    def _apply_span(self, line: Line, meta: Mapping[str, object], seq: int) -> None:
        key = (str(meta.get("trace_id")), str(meta.get("span_id")))
        phase = meta.get("phase")
        if phase == "end":
            self.updates.pop(key, None)
            is_first = self.starts.pop(key, None) is None
            # A start may follow the end if the span was abandoned, or if a new segment repeated
            # it before the original start was drained from the ring buffer.
            if is_first or "abandoned" in meta or key in self._repeated:
                self._ended.add(key)
        elif key in self._ended:
            return
        elif phase == "update" and seq >= self.updates.get(key, (0, b""))[0]:
            self.updates[key] = (seq, line.data)
        elif phase == "start":
            self.closed = False
            self.starts.setdefault(key, line.data)
            if not self.is_past_first_lines:
                self._repeated.add(key)

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
        found: list[RunningSpan] = []
        # Where all starts are known, an update without one belongs to a span that has ended.
        alone = () if self._process_start else self.updates.keys() - self.starts.keys()
        for key in (*self.starts, *alone):
            update = _decode(self.updates[key][1]) if key in self.updates else None
            start = _decode(self.starts.get(key, b"")) or update
            if start is not None:
                found.append(RunningSpan(start, update))
        return tuple(sorted(found, key=lambda span: span.start.time_ns))

    @property
    def stamp_ns(self) -> int:
        """When the worker last stamped a ring buffer; before the first time, its creation."""
        return max(
            (
                max(ring.state.stamp_ns, ring.facts.created_ns)
                for ring in self.rings
                if ring.facts is not None and ring.state is not None
            ),
            default=0,
        )

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
        start = _decode(self._process_start)
        extra = EMPTY if start is None else start.extra
        process = process_from(self.id, extra)
        for ring in self.rings:
            if (facts := ring.facts) is not None:
                identity = ProcessIdentity(
                    facts.pid, facts.start_time, facts.boot_id, facts.host, facts.pid_namespace
                )
                if not process.pid:
                    process = Process(
                        self.id,
                        facts.pid,
                        facts.start_time,
                        facts.boot_id,
                        facts.host,
                        pid_namespace=facts.pid_namespace,
                    )
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
            heartbeat=_decode(self._heartbeat),
            closed=self.closed,
            records=self.records,
            files=(*self.segments, *(ring.path for ring in self.rings)),
        )


def may_begin_segment(line: Line) -> bool:
    """Return whether a segment may begin with this line: a process or span start."""
    return line.meta.get("phase") == "start" or line.meta.get("event") == PROCESS_START


def time_of(timestamp: str) -> int:
    """Return the time of a record's timestamp; 0 if it is not a valid one.

    >>> time_of("1970-01-01T00:00:01.000000Z"), time_of("soon")
    (1000000000, 0)
    """
    try:
        return parse_timestamp(timestamp) if timestamp else 0
    except RecordError:
        return 0


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


def _decode(data: bytes) -> Record | None:
    try:
        return decode_line(data) if data else None
    except RecordError:
        return None
