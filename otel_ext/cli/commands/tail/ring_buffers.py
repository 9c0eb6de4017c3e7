"""Lines that are in ring buffers only: of programs that hang, died, or wait for their disk.

A worker brings lines to its file within moments, and there they are followed. So after the
first look only those ring buffers are read whose worker has stopped.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import (
    is_folder,
    list_rings,
    list_segments,
    parse_ring_name,
    parse_segment_name,
)
from otel_ext.journal.read.scanner import read_ring
from otel_ext.journal.ring_layout import HEADER_SIZE, unpack_facts, unpack_state
from otel_ext.observe.liveness import ClockReading, LivenessEvidence, worker_silent_ns_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["WaitingLines"]

_CHECK_SECONDS: Final = 1.0
_STOPPED_NS: Final = 3_000_000_000
# More than a worker writes at once: that is in the file before it counts as drained.
_LAST_BYTES: Final = 1024 * 1024


class _Header(NamedTuple):
    """What the first page of a ring buffer tells.

    Attributes:
        path: The ring buffer.
        target: Name of the file it drains to; empty for the segments of its process.
        silent_ns: For how long its worker has not stamped it; None if that is unknown.
    """

    path: Path
    target: str
    silent_ns: int | None

    @property
    def file(self) -> Path | None:
        """The file that it drains to; None if there is none yet."""
        folder = self.path.parent.parent
        if self.target:
            return folder / self.target
        newest = None
        for path in list_segments(folder):
            segment = parse_segment_name(path.name)
            if segment is not None and segment.stream == parse_ring_name(self.path.name):
                newest = path
        return newest


class WaitingLines:
    """What waits in the ring buffers of some paths, each line once."""

    def __init__(self) -> None:
        self._shown: set[bytes] = set()
        self._next_check = 0.0

    def all_lines(self, paths: Iterable[Path]) -> list[bytes]:
        """Return all lines that wait; to be called before the files are read."""
        return [line for one in _headers(paths) for line in self._lines_in(one)]

    def stuck_lines(self, paths: Iterable[Path]) -> list[bytes]:
        """Return the lines that wait for a worker that has stopped; looked for once a second."""
        if monotonic() < self._next_check:
            return []
        self._next_check = monotonic() + _CHECK_SECONDS
        stopped = (one for one in _headers(paths) if (one.silent_ns or 0) > _STOPPED_NS)
        return [line for one in stopped for line in self._lines_in(one)]

    def without_shown(self, lines: list[bytes]) -> list[bytes]:
        """Return lines of a file without those that were shown while they waited."""
        if not self._shown:
            return lines
        found = [line for line in lines if line not in self._shown]
        self._shown.difference_update(lines)
        return found

    def _lines_in(self, header: _Header) -> list[bytes]:
        """Return what waits in a ring buffer and was not shown."""
        ring = read_ring(header.path)
        waiting = [line.data for line in ring.lines if not ring.is_drained(line)]
        fresh = [line for line in waiting if line not in self._shown]
        if fresh and (file := header.file) is not None:
            written = _last_lines(file)
            fresh = [line for line in fresh if line not in written]
        self._shown.update(fresh)
        return fresh


def _headers(paths: Iterable[Path]) -> Iterator[_Header]:
    """Yield the headers of the ring buffers that drain to these folders and files."""
    now = ClockReading.now()
    for input_path in paths:
        is_single = not is_folder(input_path)
        for path in list_rings(input_path.parent if is_single else input_path):
            header = _header(path, now)
            if header is not None and (header.file == input_path or not is_single):
                yield header


def _header(path: Path, now: ClockReading) -> _Header | None:
    try:
        with path.open("rb") as file:
            page = file.read(HEADER_SIZE)
    except OSError:
        return None  # its process has just removed it
    facts = unpack_facts(page)
    if facts is None:
        return None
    state = unpack_state(page, facts.chunks)
    evidence = LivenessEvidence(max(state.stamp_ns, facts.created_ns), state.steady_ns)
    return _Header(path, facts.target, worker_silent_ns_at(evidence, now))


def _last_lines(path: Path) -> frozenset[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
            return frozenset(file.read().split(b"\n"))
    except OSError:
        return frozenset()
