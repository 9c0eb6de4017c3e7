"""Finds lines that are only in ring buffers: of programs that hang, died or wait for a disk.

A worker soon drains its ring buffer to the file, which `files` follows. So after the first
call only ring buffers whose worker has stopped are read.
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
# More than a worker writes at once: lines are in the file before they count as drained.
_LAST_BYTES: Final = 1024 * 1024


class _Header(NamedTuple):
    """The facts in the first page of a ring buffer that matter here.

    Attributes:
        path: The ring buffer.
        target: Name of the file it drains to; empty for the segments of its process.
        silent_ns: Time since its worker last stamped it; None if unknown.
    """

    path: Path
    target: str
    silent_ns: int | None

    @property
    def file(self) -> Path | None:
        """The file that it drains to; None if that does not exist yet."""
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
        stopped = (one for one in _headers(paths) if (one.silent_ns or 0) > _STOPPED_NS)
        return [line for one in stopped for line in self._lines_in(one)]

    def without_shown(self, lines: list[bytes]) -> list[bytes]:
        """Return lines of a file without those that were returned while they waited."""
        if not self._shown:
            return lines
        found = [line for line in lines if line not in self._shown]
        self._shown.difference_update(lines)
        return found

    def _lines_in(self, header: _Header) -> list[bytes]:
        """Return the waiting lines of a ring buffer that were not returned before."""
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
        return None  # its process removed it just now
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
