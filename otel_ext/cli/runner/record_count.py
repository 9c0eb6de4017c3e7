"""Counts the records of a run: in files, still in ring buffers, and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import TAIL_BYTES, file_size
from otel_ext.journal.liveness import is_alive
from otel_ext.journal.names import list_rings
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.record.merge import rank_in
from otel_ext.runtime.process.records import dropped_in

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents
    from otel_ext.record.merge import Rank

__all__ = ["Count", "count_records", "rings_left_behind"]

_MAX_BYTES: Final = 64 * 1024 * 1024


class Count:
    """Counts files, records and unended spans of a run.

    Attributes:
        files: Number of files.
        size: Bytes in them.
        records: Number of records in them; None if there are too many to count.
        waiting: Number of records that are only in a ring buffer.
    """

    def __init__(self, files: int, size: int) -> None:
        self.files = files
        self.size = size
        self.records: int | None = 0 if size <= _MAX_BYTES else None
        self.waiting = 0
        self._seen: set[tuple[object, object]] = set()
        self._dropped: dict[str, int] = {}
        # The rank of each span's winning record, and whether that is a real end. A span can
        # start in one file and end in another, after a rotation.
        self._spans: dict[tuple[str, str], tuple[Rank, bool]] = {}

    @property
    def dropped(self) -> int:
        """Number of records that the processes dropped, by their own count."""
        return sum(self._dropped.values())

    @property
    def has_spans(self) -> bool:
        """Whether there is a record of a span; true if there are too many to count."""
        return self.records is None or bool(self._spans)

    @property
    def unended(self) -> int:
        """Number of spans without a real end; 0 if there are too many to count."""
        unended = sum(not has_ended for _, has_ended in self._spans.values())
        return 0 if self.records is None else unended

    def add_file(self, path: Path) -> None:
        """Count the records of a file; a missing one counts as empty."""
        # At least the last lines: they contain the drop count of the process.
        for item in scan(path, -TAIL_BYTES if self.records is None else 0):
            if isinstance(item, Line):
                self._add(item.meta)
                if self.records is not None:
                    self.records += 1

    def add_ring(self, ring: RingContents) -> None:
        """Count the records of a dead process's ring buffer that are not in a counted file."""
        for line in ring.lines:
            if line.key not in self._seen and not ring.is_drained(line):
                self._add(line.meta)
                self.waiting += 1
        if ring.facts is not None and ring.state is not None:
            self._note_dropped(ring.id, ring.state.dropped)

    def _add(self, meta: Mapping[str, object]) -> None:
        self._seen.add((meta.get("process"), meta.get("seq")))
        phase = meta.get("phase")
        if phase == "start" or phase == "end":  # noqa: PLR1714 - may be of any type
            key = (str(meta.get("trace_id")), str(meta.get("span_id")))
            is_real_end = phase == "end" and "abandoned" not in meta
            ranked = (rank_in(meta), is_real_end)
            self._spans[key] = max(ranked, self._spans.get(key, ranked))
        elif "dropped" in meta:
            self._note_dropped(str(meta.get("process")), dropped_in(meta))

    def _note_dropped(self, process: str, number: int) -> None:
        name = base_id(process)  # the drop count of a process never decreases
        self._dropped[name] = max(number, self._dropped.get(name, 0))


def count_records(files: Sequence[Path], rings: Sequence[RingContents] = ()) -> Count:
    """Count the records of some files, and those of ring buffers that are not in them."""
    count = Count(len(files), sum(map(file_size, files)))
    for file in files:
        count.add_file(file)
    for ring in rings:
        count.add_ring(ring)
    return count


def rings_left_behind(folder: Path, before: Container[Path]) -> list[RingContents]:
    """Return the ring buffers of dead processes, but for those that were there before the run.

    Names are compared, not times, because the clock may have been set since.
    """
    rings = [read_ring(path) for path in list_rings(folder) if path not in before]
    return [ring for ring in rings if ring.process and is_alive(ring.process) == "dead"]
