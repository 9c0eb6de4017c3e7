"""What a folder of records says about its processes, living or dead.

The newest segment of each journal and its ring buffer together tell what runs now:
rotation repeats the open spans, so older segments are not needed. Nothing is
asked of the processes themselves, so the answer is there for a hung one too.
"""

from __future__ import annotations

from collections import defaultdict
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import list_rings, list_segments, parse_ring_name, parse_segment_name
from otel_ext.journal.read.incarnations import (
    IncarnationReader,
    IncarnationState,
    SequenceNumbers,
    base_id,
    may_begin_segment,
)
from otel_ext.journal.read.scanner import Line, Skipped, read_ring, scan
from otel_ext.journal.recovery.replaced import replaced_incarnations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_ext.journal.read.scanner import RingContents

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
        incarnations: One for each, by last sign of life.
        skipped: Damage, with the file it is in; at most 1,000 stretches.
        skipped_bytes: All bytes that were skipped.
    """

    path: Path
    incarnations: tuple[IncarnationState, ...]
    skipped: tuple[tuple[Path, Skipped], ...]
    skipped_bytes: int


class SkippedLog:
    """What could not be read, bounded."""

    def __init__(self) -> None:
        self.items: list[tuple[Path, Skipped]] = []
        self.total_bytes = 0

    def add(self, path: Path, item: Skipped) -> None:
        """Note one stretch of damage in the file `path`."""
        self.total_bytes += item.length
        if len(self.items) < _MAX_SKIPPED:
            self.items.append((path, item))


class JournalKey(NamedTuple):
    """Which journal a line or a ring buffer belongs to.

    Attributes:
        incarnation: Whose journal.
        number: Which of its journals with segments of their own.
        file: Name of the file of several processes that it writes to; empty for segments.
    """

    incarnation: str
    number: int = 0
    file: str = ""


class _Readers:
    """The readers of a folder, one for each journal; those of one incarnation share its numbers."""

    def __init__(self) -> None:
        self.found: dict[JournalKey, IncarnationReader] = {}
        self.numbers: defaultdict[str, SequenceNumbers] = defaultdict(SequenceNumbers)
        self._nameless: list[tuple[JournalKey, RingContents]] = []

    def get(self, key: JournalKey) -> IncarnationReader:
        reader = self.found.get(key)
        if reader is None:
            reader = IncarnationReader(key.incarnation, self.numbers[key.incarnation], key.number)
            self.found[key] = reader
        return reader

    def begin_segment(self, key: JournalKey) -> None:
        """Take note that the next lines of a journal come from another segment."""
        if key in self.found:
            self.found[key].begin_segment()

    def add_ring(self, ring: RingContents) -> None:
        name, number = parse_ring_name(ring.path.name)
        if ring.facts is None:
            self._nameless.append((JournalKey(name, number), ring))
        elif ring.facts.target:
            self.get(JournalKey(ring.facts.id, 0, ring.facts.target)).add_ring(ring)
        else:
            self.get(JournalKey(ring.facts.id, number)).add_ring(ring)

    def finish(self, *, every_segment: bool) -> None:
        """Take the lines of the ring buffers, too; behind the last segment."""
        for key, ring in self._nameless:
            # Its header would have said whether it drains to a file of several processes.
            others = (one for one in self.found if one.incarnation == key.incarnation)
            self.get(key if key in self.found else next(others, key)).add_ring(ring)
        for reader in self.found.values():
            reader.add_ring_lines(every_segment=every_segment)


def read_incarnations(
    folder: Path, *, only: str = "", every_segment: bool = False
) -> tuple[dict[JournalKey, IncarnationReader], SkippedLog]:
    """Read a folder's ring buffers, then its segments, each journal of an incarnation for itself.

    In this order a line that the worker moves meanwhile is seen at least once, and segments
    that the worker leaves meanwhile are read, too.

    Args:
        folder: The folder of records.
        only: The one incarnation that is wanted; empty for all.
        every_segment: Read older segments too.
    """
    readers = _Readers()
    skipped = SkippedLog()
    known = frozenset(list_segments(folder))
    for path in list_rings(folder, only):
        ring = read_ring(path)
        readers.add_ring(ring)
        for damage in ring.skipped:
            skipped.add(path, damage)
    for path in _wanted_segments(folder, only, None if every_segment else known):
        segment = parse_segment_name(path.name)
        if segment is not None:
            readers.begin_segment(JournalKey(segment.incarnation, segment.journal))
        for item in scan(path):
            if isinstance(item, Skipped):
                skipped.add(path, item)
                continue
            name = base_id(item.key[0])
            if not only or name == only:
                key = (
                    JournalKey(name, segment.journal) if segment else JournalKey(name, 0, path.name)
                )
                readers.get(key).add_line(item, path)
    readers.finish(every_segment=every_segment)
    return readers.found, skipped


def _wanted_segments(folder: Path, only: str, known: frozenset[Path] | None) -> Iterable[Path]:
    """Return the segments to read.

    Args:
        folder: The folder of records.
        only: The one incarnation that is wanted; empty for all.
        known: What was there before the ring buffers were read: of each journal the newest of
            them and all that came since are wanted, and what the last may yet lack. None
            for all segments.
    """
    by_journal: dict[tuple[str, int], list[Path]] = {}
    wanted: list[Path] = []
    for path in list_segments(folder):
        name = parse_segment_name(path.name)
        if name is None:  # a file of several processes
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
    """Whether a segment repeats all that was open when it began: it holds more than that.

    Its writer may still be at its first lines, or may have been killed at them.
    """
    return any(isinstance(item, Line) and not may_begin_segment(item) for item in scan(segment))


def read_folder(path: Path, *, now_ns: int | None = None) -> FolderState:
    """Return what the records in a folder say about its processes; never raises on damage.

    Args:
        path: The folder of records.
        now_ns: The time, nanoseconds since the epoch; None for the clock's.
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
    """Return what the journals of one incarnation say together."""
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
