"""What a ring buffer adds to its file: lines that are not there yet, or not any more.

Lines that were brought to the file stay in the buffer for a while. While the file is as its
writer left it, it alone tells which spans they leave open: their ends may stand in an older
file. They count where others have truncated, moved or deleted the file, because a program
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
    """A ring buffer as it was when it was read.

    Attributes:
        path: Its file.
        id: The incarnation it belongs to.
        journal: Which of its journals.
        target: Name of the file it drains to; empty for the incarnation's own.
        identity: Its process; None if the header is damaged.
        stamp_ns: When its worker last stamped it, or when it was made; 0 if unknown.
        steady_ns: The moment of the stamp by the monotonic clock; 0 if unknown.
        last_seq: Number of the last record at that moment.
        lines: Its whole lines, also those that the file has already.
        dropped: How many records its process had dropped at that moment.
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
        """Return the time of the newest record that waits in the ring buffer; 0 if there is none.

        Args:
            until_ns: Later ones do not count: programs may date their spans as they like.
        """
        # Times as text are all of one length, and in order like the times themselves.
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
        """The file it drains to; of its own segments the first, which has others after it."""
        return self.target or segment_file(self.id, 0, self.journal)

    def add_process_lines_to(self, reader: FileReader) -> None:
        """Hand `reader` what the process says of itself in the ring buffer."""
        for line in self.lines:
            if line.meta.get("kind") == "process":
                reader.add_process_line(line)

    @property
    def last_text(self) -> str:
        """The timestamp of the newest line, by its number; empty if there is none."""
        return str(self.lines[-1].meta.get("timestamp", "")) if self.lines else ""

    def apply(
        self, starts: dict[Key, bytes], updates: dict[Key, bytes], reader: FileReader
    ) -> None:
        """Bring copies of a file's open spans up to what the ring buffer holds.

        In any order of its lines: a small end fits in where its start did not.
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
    """Return what the ring buffers of one process tell of when it was active.

    Args:
        rings: All of one process.
        now_ns: The time, nanoseconds since the epoch.
    """
    return LivenessEvidence(
        stamp_ns=max((ring.stamp_ns for ring in rings), default=0),
        steady_ns=max((ring.steady_ns for ring in rings), default=0),
        record_ns=max((ring.newest_ns(now_ns) for ring in rings), default=0),
    )


def read_rings(folder: Path) -> Iterator[RingView]:
    """Yield the ring buffers of a folder of records; only reads."""
    for path in list_rings(folder):
        yield RingView(read_ring(path))
