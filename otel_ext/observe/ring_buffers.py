"""Adds the lines in a ring buffer to those in its file: not written yet, or removed since.

Lines stay in the ring buffer for a while after they were drained to the file. While the file
is as its writer left it, drained starts in the buffer are ignored: their ends may be in an
older file. They count if something truncated, moved or deleted the file, because a program
that hangs does not write it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.errors import RecordError
from otel_ext.journal.files import list_rings, parse_ring_name, segment_file
from otel_ext.journal.liveness import ProcessIdentity
from otel_ext.journal.read.scanner import Line, RingContents, read_ring
from otel_ext.observe.liveness import LivenessEvidence
from otel_ext.observe.scan import key_of
from otel_ext.record.timestamps import format_ns, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from otel_ext.observe.scan import FileReader, Key

__all__ = ["RingView", "liveness_evidence", "read_rings"]


class RingView:
    """The contents of a ring buffer when it was read.

    Attributes:
        path: Its file.
        id: The incarnation it belongs to.
        journal: The number of its journal within the incarnation.
        target: Name of the file it drains to; empty if that is the incarnation's own.
        identity: Its process; None if the header is damaged.
        stamp_ns: When its worker last stamped it, or when it was made; 0 if unknown.
        steady_ns: When it was stamped by the monotonic clock; 0 if unknown.
        last_seq: Number of the last record at that time.
        lines: Its complete lines, including those that the file has already.
        dropped: How many records its process had dropped at that time.
    """

    def __init__(self, ring: RingContents) -> None:
        facts, state = ring.facts, ring.state
        self.path = ring.path
        name, self.journal = parse_ring_name(ring.path.name)
        self.id = facts.id if facts else name
        self.target = facts.target if facts else ""
        self.identity = (
            ProcessIdentity(
                facts.pid, facts.start_time, facts.boot_id, facts.host, facts.pid_namespace
            )
            if facts
            else None
        )
        self.stamp_ns = max(state.stamp_ns, facts.created_ns) if facts and state else 0
        self.steady_ns = state.steady_ns if state else 0
        self.last_seq = state.last_seq if state else 0
        self.lines = ring.lines
        self.dropped = state.dropped if state else 0
        self._ring = ring
        self._drained = frozenset(line.offset for line in ring.lines if ring.is_drained(line))

    def newest_ns(self, until_ns: int) -> int:
        """Return the time of the newest record that waits in the ring buffer; 0 without one.

        Args:
            until_ns: Later records are ignored, since programs may date their spans freely.
        """
        # Timestamps have the same length as text and sort like the times themselves.
        until = format_ns(until_ns)
        waiting = (line for line in self.lines if line.offset not in self._drained)
        times = (str(line.meta.get("timestamp", "")) for line in waiting)
        newest = max((time for time in times if time <= until), default="")
        try:
            return parse_timestamp(newest)
        except RecordError:
            return 0

    @property
    def is_full(self) -> bool:
        """Whether it has no room, so that more records are dropped."""
        return self._ring.is_full

    @property
    def stream(self) -> tuple[str, int]:
        """The journal whose segments it drains to, unless it has a target."""
        return self.id, self.journal

    @property
    def file_name(self) -> str:
        """The file it drains to; the first one if it drains to the segments of its journal."""
        return self.target or segment_file(self.id, 0, self.journal)

    def add_process_lines_to(self, reader: FileReader) -> None:
        """Pass the process records in the ring buffer to `reader`."""
        for line in self.lines:
            if line.meta.get("kind") == "process":
                reader.add_process_line(line)

    @property
    def last_text(self) -> str:
        """The timestamp of the newest line, by its number; empty without lines."""
        return str(self.lines[-1].meta.get("timestamp", "")) if self.lines else ""

    def apply(
        self, starts: dict[Key, bytes], updates: dict[Key, bytes], reader: FileReader
    ) -> None:
        """Apply the ring buffer's lines to copies of a file's open spans.

        The lines may be in any order: a small end may fit where its start did not.
        """
        others: list[tuple[Key, Line]] = []
        ended: set[Key] = set()
        for line in self.lines:
            if line.meta["kind"] != "span":
                continue
            key = key_of(line.meta)
            if line.meta.get("phase") == "end":
                ended.add(key)
                starts.pop(key, None)
                updates.pop(key, None)
            else:
                others.append((key, line))
        file_is_intact = reader.has_started(self.id)
        for key, line in others:
            if key in ended or reader.has_ended(key):
                continue
            phase = line.meta.get("phase")
            if phase == "update":
                updates[key] = line.data
            elif phase == "start" and not (file_is_intact and line.offset in self._drained):
                starts.setdefault(key, line.data)


def liveness_evidence(rings: Sequence[RingView], now_ns: int) -> LivenessEvidence:
    """Return when a process was last active by its ring buffers.

    Args:
        rings: All ring buffers of the process.
        now_ns: The time, nanoseconds since the epoch.
    """
    return LivenessEvidence(
        stamp_ns=max((ring.stamp_ns for ring in rings), default=0),
        steady_ns=max((ring.steady_ns for ring in rings), default=0),
        record_ns=max((ring.newest_ns(now_ns) for ring in rings), default=0),
    )


def read_rings(folder: Path) -> Iterator[RingView]:
    """Yield the ring buffers of a folder of records; nothing is written."""
    for path in list_rings(folder):
        yield RingView(read_ring(path))
