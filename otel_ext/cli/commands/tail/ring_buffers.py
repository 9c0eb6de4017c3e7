"""Finds lines that are only in ring buffers: of programs that hang, died or wait for a disk.

A worker soon drains its ring buffer to the file, which `files` follows. So after the first
call only ring buffers whose worker has stopped are read.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import is_folder
from otel_ext.journal.liveness import STALE_STAMP_NS
from otel_ext.journal.names import newest_segments
from otel_ext.journal.read.follow import FollowedFile
from otel_ext.journal.read.rings import read_ring, read_rings
from otel_ext.observe.liveness import ClockReading, LivenessEvidence, worker_silent_ns_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otel_ext.journal.read.rings import RingContents

__all__ = ["WaitingLines"]

_CHECK_SECONDS: Final = 1.0
# More than a worker writes at once: lines are in the file before they count as drained.
_LAST_BYTES: Final = 1024 * 1024


class WaitingLines:
    """Returns the lines that wait in the ring buffers of some paths, each line once."""

    def __init__(self) -> None:
        self._shown: set[bytes] = set()
        self._next_check = 0.0

    def all_lines(self, paths: Iterable[Path]) -> list[bytes]:
        """Return all waiting lines; call it before the files are read."""
        return [line for one in _headers(paths) for line in self._lines_in(one)]

    def stuck_lines(self, paths: Iterable[Path]) -> list[bytes]:
        """Return the lines that wait for a stopped worker; checks once a second at most."""
        if monotonic() < self._next_check:
            return []
        self._next_check = monotonic() + _CHECK_SECONDS
        now = ClockReading.now()
        return [
            line
            for ring in _headers(paths)
            if (worker_silent_ns_at(LivenessEvidence.of_rings([ring], 0), now) or 0)
            > STALE_STAMP_NS
            for line in self._lines_in(ring)
        ]

    def without_shown(self, lines: list[bytes]) -> list[bytes]:
        """Return lines of a file without those that were returned while they waited."""
        if not self._shown:
            return lines
        found = [line for line in lines if line not in self._shown]
        self._shown.difference_update(lines)
        return found

    def _lines_in(self, header: RingContents) -> list[bytes]:
        """Return the waiting lines of a ring buffer that were not returned before."""
        ring = read_ring(header.path)
        waiting = [line.data for line in ring.lines if not ring.is_drained(line)]
        fresh = [line for line in waiting if line not in self._shown]
        if fresh and (file := _file_of(header)) is not None:
            written = frozenset(FollowedFile(file).last_lines(_LAST_BYTES, _LAST_BYTES))
            fresh = [line for line in fresh if line not in written]
        self._shown.update(fresh)
        return fresh


def _headers(paths: Iterable[Path]) -> Iterator[RingContents]:
    """Yield the headers of the ring buffers that drain to these folders and files."""
    for input_path in paths:
        is_single = not is_folder(input_path)
        for ring in read_rings(input_path.parent if is_single else input_path, lines=False):
            if ring.facts is not None and (not is_single or _file_of(ring) == input_path):
                yield ring


def _file_of(ring: RingContents) -> Path | None:
    """Return the file that a ring buffer drains to; None if that does not exist yet."""
    folder = ring.path.parent.parent
    if ring.target:
        return folder / ring.target
    return newest_segments(folder).get(ring.stream)
