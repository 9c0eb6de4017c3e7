"""Counts the records of a run: in files, still in ring buffers, and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import TAIL_BYTES, list_rings
from otel_ext.journal.liveness import is_alive
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.runtime.process.records import dropped_in

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents

__all__ = ["Count", "count_records", "rings_left_behind"]

_MAX_BYTES: Final = 64 * 1024 * 1024


class Count(NamedTuple):
    """Numbers of files, records and unended spans of a run.

    Attributes:
        files: Number of files.
        records: Number of records in them; None if there are too many to count.
        unended: Number of spans that did not end, or were ended by recovery.
        size: Bytes in all.
        waiting: Number of records that are only in a ring buffer.
        dropped: Number of records that the processes dropped, by their own count.
        has_spans: Whether there is a record of a span; true if there are too many to count.
    """

    files: int
    records: int | None
    unended: int
    size: int
    waiting: int = 0
    dropped: int = 0
    has_spans: bool = True


class _Tally:
    """Collects spans and drops from the counted lines."""

    def __init__(self) -> None:
        self.keys: set[tuple[object, object]] = set()
        self.dropped: dict[str, int] = {}
        # A span can start in one file and end in another, after a rotation.
        self._started: set[tuple[object, object]] = set()
        self._ended: set[tuple[object, object]] = set()
        self._abandoned: set[tuple[object, object]] = set()

    def add(self, meta: Mapping[str, object]) -> None:
        """Count one record."""
        self.keys.add((meta.get("process"), meta.get("seq")))
        key = (meta.get("trace_id"), meta.get("span_id"))
        if meta.get("phase") == "start":
            self._started.add(key)
        elif meta.get("phase") == "end":
            (self._abandoned if "abandoned" in meta else self._ended).add(key)
        elif "dropped" in meta:
            self.note_dropped(str(meta.get("process")), dropped_in(meta))

    def note_dropped(self, process: str, number: int) -> None:
        """Note the drop count of a process; it never decreases."""
        name = base_id(process)
        self.dropped[name] = max(number, self.dropped.get(name, 0))

    @property
    def has_spans(self) -> bool:
        """Whether any counted line is a record of a span."""
        return bool(self._started or self._ended or self._abandoned)

    @property
    def unended(self) -> int:
        """Number of spans without a real end."""
        # A real end takes precedence over one that recovery wrote.
        return len((self._started | self._abandoned) - self._ended)


def count_records(files: Sequence[Path], rings: Sequence[RingContents] = ()) -> Count:
    """Count records and spans without an end.

    Args:
        files: JSONL files; a missing one counts as empty.
        rings: Ring buffers of dead processes.
    """
    size = sum(_size(file) for file in files)
    is_too_much = size > _MAX_BYTES
    tally = _Tally()
    records = 0
    for file in files:
        # At least the last lines: they contain the drop count of the process.
        for item in scan(file, -TAIL_BYTES if is_too_much else 0):
            if isinstance(item, Line):
                tally.add(item.meta)
                records += 1
    waiting = sum(_count_ring(ring, tally) for ring in rings)
    dropped = sum(tally.dropped.values())
    if is_too_much:
        return Count(len(files), None, 0, size, waiting, dropped)
    return Count(
        len(files), records, tally.unended, size, waiting, dropped, has_spans=tally.has_spans
    )


def _count_ring(ring: RingContents, tally: _Tally) -> int:
    """Return how many records of a ring buffer are not in a counted file."""
    new = [line for line in ring.lines if line.key not in tally.keys and not ring.is_drained(line)]
    for line in new:
        tally.add(line.meta)
    if ring.facts is not None and ring.state is not None:
        tally.note_dropped(ring.id, ring.state.dropped)
    return len(new)


def rings_left_behind(folder: Path, before: Container[Path]) -> list[RingContents]:
    """Return the ring buffers of dead processes.

    Args:
        folder: The folder of records.
        before: The ring buffers that existed when this run began; they belong to other runs.
            Names are compared, not times, because the clock may have been set since.
    """
    rings = [read_ring(path) for path in list_rings(folder) if path not in before]
    return [ring for ring in rings if ring.process and is_alive(ring.process) == "dead"]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
