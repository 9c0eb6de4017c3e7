"""Reads from a folder of records which processes wrote to it and what they do now.

The newest segment of each journal and its ring buffer show what runs now: a further segment
starts with the open spans, so older ones are not needed. The processes themselves are not
asked, so this works for a hung one, too.
"""

from __future__ import annotations

from collections import defaultdict
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import list_segments, parse_segment_name
from otel_ext.journal.read.incarnations import (
    IncarnationReader,
    IncarnationState,
    SequenceNumbers,
    base_id,
    may_begin_segment,
)
from otel_ext.journal.read.replaced import replaced_incarnations
from otel_ext.journal.read.rings import read_rings
from otel_ext.journal.read.scanner import Line, Skipped, scan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents

__all__ = [
    "FolderState",
    "JournalKey",
    "SkippedLog",
    "read_folder",
    "read_incarnations",
]

_MAX_SKIPPED: Final = 1_000


class FolderState(NamedTuple):
    """A folder of records at one moment.

    Attributes:
        path: The folder.
        incarnations: One state for each, in the order they were last seen alive.
        skipped: Damaged ranges and their files, at most 1,000.
        skipped_bytes: How many bytes were skipped in all.
    """

    path: Path
    incarnations: tuple[IncarnationState, ...]
    skipped: tuple[tuple[Path, Skipped], ...]
    skipped_bytes: int


class SkippedLog:
    """Collects what could not be read, up to a limit."""

    def __init__(self) -> None:
        self.items: list[tuple[Path, Skipped]] = []
        self.total_bytes = 0

    def add(self, path: Path, item: Skipped) -> None:
        """Record one damaged range in the file `path`."""
        self.total_bytes += item.length
        if len(self.items) < _MAX_SKIPPED:
            self.items.append((path, item))


class JournalKey(NamedTuple):
    """Identifies the journal of a line or a ring buffer.

    Attributes:
        incarnation: Id of the incarnation that wrote it.
        number: Number of the journal among those of the incarnation.
        file: Name of the shared file it writes to; empty for segments.
    """

    incarnation: str
    number: int = 0
    file: str = ""


class _Readers:
    """The readers of a folder, one for each journal; an incarnation's share its numbers."""

    def __init__(self) -> None:
        self.found: dict[JournalKey, IncarnationReader] = {}
        self.numbers: defaultdict[str, SequenceNumbers] = defaultdict(SequenceNumbers)
        self._nameless: list[tuple[JournalKey, RingContents]] = []

    def get(self, key: JournalKey, segment: Path | None = None) -> IncarnationReader:
        """Return the reader of a journal, which has lines in `segment`."""
        reader = self.found.get(key)
        if reader is None:
            reader = IncarnationReader(key.incarnation, self.numbers[key.incarnation], key.number)
            self.found[key] = reader
        if segment is not None and segment not in reader.segments:
            reader.segments.append(segment)
        return reader

    def begin_segment(self, key: JournalKey) -> None:
        """Start with the lines of another segment of a journal."""
        if key in self.found:
            self.found[key].begin_segment()

    def add_ring(self, ring: RingContents) -> None:
        key = JournalKey(ring.id, 0, ring.target) if ring.target else JournalKey(*ring.stream)
        if ring.facts is None:
            self._nameless.append((key, ring))
        else:
            self.get(key).add_ring(ring)

    def finish(self, *, every_segment: bool) -> None:
        """Add the lines of the ring buffers, after the last segment."""
        for key, ring in self._nameless:
            # Without a header it is not known whether it drains to a shared file.
            others = (one for one in self.found if one.incarnation == key.incarnation)
            self.get(key if key in self.found else next(others, key)).add_ring(ring)
        for reader in self.found.values():
            reader.add_ring_lines(every_segment=every_segment)


def read_incarnations(
    folder: Path, *, only: str = "", every_segment: bool = False
) -> tuple[dict[JournalKey, IncarnationReader], SkippedLog]:
    """Read a folder's ring buffers, then its segments, separately for each journal.

    In this order a line that the worker moves meanwhile is read at least once, and so is a
    segment that the worker rotates away from meanwhile.

    Args:
        folder: The folder of records.
        only: Id of the one incarnation to read; empty for all.
        every_segment: Read older segments, too.
    """
    readers = _Readers()
    skipped = SkippedLog()
    known = frozenset(list_segments(folder))
    for ring in read_rings(folder, only):
        readers.add_ring(ring)
        for damage in ring.skipped:
            skipped.add(ring.path, damage)
    for path in _wanted_segments(folder, only, None if every_segment else known):
        segment = parse_segment_name(path.name)
        if segment is not None:
            readers.begin_segment(JournalKey(segment.incarnation, segment.journal))
        by_process: dict[str, IncarnationReader | None] = {}
        for item in scan(path):
            if isinstance(item, Skipped):
                skipped.add(path, item)
                continue
            process = item.key[0]
            if process not in by_process:
                name = base_id(process)
                key = (
                    JournalKey(name, segment.journal) if segment else JournalKey(name, 0, path.name)
                )
                by_process[process] = readers.get(key, path) if only in {"", name} else None
            if (reader := by_process[process]) is not None:
                reader.add_line(item)
    readers.finish(every_segment=every_segment)
    return readers.found, skipped


def _wanted_segments(folder: Path, only: str, known: frozenset[Path] | None) -> Iterable[Path]:
    """Return the segments to read.

    Args:
        folder: The folder of records.
        only: Id of the one incarnation to read; empty for all.
        known: Segments that existed before the ring buffers were read. Of each journal the
            newest of them is read and all that followed; also the one before, if the last
            does not repeat all open spans yet. None for all segments.
    """
    by_journal: dict[tuple[str, int], list[Path]] = {}
    wanted: list[Path] = []
    for path in list_segments(folder):
        name = parse_segment_name(path.name)
        if name is None:  # a shared file
            wanted.append(path)
        elif not only or name.incarnation == only:
            by_journal.setdefault(name.stream, []).append(path)
    for paths in by_journal.values():
        first = 0
        if known is not None:
            first = max((at for at, path in enumerate(paths) if path in known), default=0)
            if first == len(paths) - 1 and first and not _is_past_first_lines(paths[-1]):
                first -= 1
        wanted += paths[first:]
    return wanted


def _is_past_first_lines(segment: Path) -> bool:
    """Return whether a segment has more than its first lines, so that these are complete.

    Its writer may still be writing them, or may have been killed while it did.
    """
    return any(isinstance(item, Line) and not may_begin_segment(item) for item in scan(segment))


def read_folder(path: Path, *, now_ns: int | None = None) -> FolderState:
    """Return the processes that wrote to a folder, with their state; never raises on damage.

    Args:
        path: The folder of records.
        now_ns: The time, nanoseconds since the epoch; None for the current time.
    """
    moment = time_ns() if now_ns is None else now_ns
    readers, skipped = read_incarnations(path)
    replaced = replaced_incarnations(path)
    by_incarnation: dict[str, list[IncarnationState]] = {}
    for key, reader in readers.items():
        state = reader.state(moment)
        if key.incarnation in replaced:
            state = state._replace(liveness="dead")
        by_incarnation.setdefault(key.incarnation, []).append(state)
    states = sorted(
        map(_merge_journals, by_incarnation.values()), key=lambda state: state.last_seen_ns
    )
    return FolderState(path, tuple(states), tuple(skipped.items), skipped.total_bytes)


def _merge_journals(journals: list[IncarnationState]) -> IncarnationState:
    """Return one state for all journals of an incarnation."""
    if len(journals) == 1:
        return journals[0]
    best = max(journals, key=lambda one: (one.process.pid > 0, one.liveness != "unknown"))
    running = [span for one in journals for span in one.running]
    beats = [one.heartbeat for one in journals if one.heartbeat is not None]
    return best._replace(
        running=tuple(sorted(running, key=lambda span: span.start.time_ns)),
        last_seen_ns=max(one.last_seen_ns for one in journals),
        stamp_ns=max(one.stamp_ns for one in journals),
        heartbeat=max(beats, key=lambda record: record.seq, default=None),
        closed=all(one.closed for one in journals),
        records=sum(one.records for one in journals),
        files=tuple(file for one in journals for file in one.files),
    )
