"""Reads the ring buffers and segments of a folder of records, separately for each journal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.journal.names import list_rings, list_segments, parse_segment_name
from otel_ext.journal.read.incarnations import IncarnationReader, SequenceNumbers, base_id
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Skipped, scan

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents

__all__ = ["MAX_SKIPPED", "JournalKey", "read_incarnations"]

MAX_SKIPPED: Final = 1_000
"""How many damaged ranges are remembered."""

JournalKey: TypeAlias = tuple[str, int, str]
"""Incarnation and number of a journal, and the shared file that it writes to, if any."""


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
            name, number, _ = key
            reader = IncarnationReader(name, self.numbers[name], number)
            self.found[key] = reader
        if segment is not None and segment not in reader.segments:
            reader.segments.append(segment)
        return reader

    def begin_segment(self, key: JournalKey) -> None:
        """Start with the lines of another segment of a journal."""
        if key in self.found:
            self.found[key].spans.begin_segment()

    def add_ring(self, ring: RingContents) -> None:
        key = (ring.id, 0, ring.target) if ring.target else (*ring.stream, "")
        if ring.facts is None:
            self._nameless.append((key, ring))
        else:
            self.get(key).add_ring(ring)

    def finish(self) -> None:
        """Add the lines of the ring buffers, after the last segment."""
        for key, ring in self._nameless:
            # Without a header it is not known whether it drains to a shared file.
            others = (one for one in self.found if one[0] == key[0])
            self.get(key if key in self.found else next(others, key)).add_ring(ring)
        for reader in self.found.values():
            reader.add_ring_lines()


def read_incarnations(
    folder: Path, *, only: str = ""
) -> tuple[dict[JournalKey, IncarnationReader], list[tuple[Path, Skipped]], int]:
    """Read a folder's ring buffers, then its segments, separately for each journal.

    In this order a line that the worker moves meanwhile is read at least once, and so is a
    segment that the worker rotates away from meanwhile.

    Args:
        folder: The folder of records.
        only: Id of the one incarnation to read; empty for all.

    Returns:
        The readers, the first damaged ranges with their files, and the bytes of all of them.

    Raises:
        OSError: The folder cannot be read, so that it is not known what is in it.
    """
    readers = _Readers()
    skipped: list[tuple[Path, Skipped]] = []
    skipped_bytes = 0
    for ring in map(read_ring, list_rings(folder, only, or_fail=True)):
        readers.add_ring(ring)
        skipped += [(ring.path, damage) for damage in ring.skipped]
        skipped_bytes += sum(damage.length for damage in ring.skipped)
    for path in list_segments(folder, or_fail=True):
        segment = parse_segment_name(path.name)
        if segment is not None:
            if only not in {"", segment.incarnation}:
                continue
            readers.begin_segment((*segment.stream, ""))
        by_process: dict[str, IncarnationReader | None] = {}
        for item in scan(path):
            if isinstance(item, Skipped):
                skipped_bytes += item.length
                if len(skipped) < MAX_SKIPPED:
                    skipped.append((path, item))
                continue
            process = item.key[0]
            if process not in by_process:
                name = base_id(process)
                key = (name, segment.journal, "") if segment else (name, 0, path.name)
                by_process[process] = readers.get(key, path) if only in {"", name} else None
            if (reader := by_process[process]) is not None:
                reader.add_line(item)
    readers.finish()
    return readers.found, skipped[:MAX_SKIPPED], skipped_bytes
