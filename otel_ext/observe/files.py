"""Chooses which files and ring buffers of a folder show the open spans, and reads them.

The newest segment of each journal begins with a preamble: it repeats the spans that were
open, so older segments are not read. While that preamble is incomplete, the previous segment
is read too. If the journal moved on to a new segment while the ring buffers were read, the
ends in the segments it left count as well. A file whose last line is the end of its process
is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.journal.files import ends_with_process_end, file_size
from otel_ext.journal.liveness import silence_limit
from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.journal.read.file_reader import FileReader
from otel_ext.journal.read.incarnations import modified_ns
from otel_ext.journal.read.rings import RingContents, read_rings
from otel_ext.runtime.process.records import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["JournalFiles"]


class _NewestSegment(NamedTuple):
    """A journal's newest segment, the one before, and those left while ring buffers were read."""

    path: Path
    previous: Path | None
    rotated_out: tuple[Path, ...]


class JournalFiles:
    """Reads the journals of some folders; the next call reads only what is new."""

    def __init__(self) -> None:
        self._readers: dict[Path, FileReader] = {}
        self._used: set[Path] = set()
        self._closed: dict[Path, int] = {}

    def read(self, paths: Iterable[Path]) -> Iterator[tuple[FileReader, list[RingContents]]]:
        """Yield each file that may hold open spans, read to its end, and its ring buffers."""
        self._used = set()
        for input_path in paths:
            yield from self._read_path(input_path)
        self._readers = {path: self._readers[path] for path in self._used}

    def _read_path(self, input_path: Path) -> Iterator[tuple[FileReader, list[RingContents]]]:
        is_file = input_path.is_file()
        folder = input_path.parent if is_file else input_path
        # The order matters. What a file holds beyond its mark (its size now) may be in a ring
        # buffer too, and what a ring buffer has drained is in the files that are listed later.
        marks = {path: file_size(path) for path in list_segments(folder)}
        rings = list(read_rings(folder))
        newest = {} if is_file else _newest(list_segments(folder), marks)
        by_file: dict[Path, list[RingContents]] = {input_path: []} if is_file else {}
        by_path = {one.path: one for one in newest.values()}
        for journal, one in newest.items():
            if any(ring.stream == journal for ring in rings) or not self._is_closed(one.path):
                by_file[one.path] = []
        for ring in rings:
            path = folder / ring.file_name
            if not ring.target and ring.stream in newest:
                path = newest[ring.stream].path
            if not is_file or path == input_path:
                by_file.setdefault(path, []).append(ring)
        for path, own_rings in by_file.items():
            segment = by_path.get(path) or _NewestSegment(path, None, ())
            yield self._read_segment(segment, marks), own_rings

    def _read_segment(self, segment: _NewestSegment, marks: dict[Path, int]) -> FileReader:
        """Return the reader of a segment, with what is needed of earlier segments."""
        reader = self._read_file(segment.path, marks)
        for path in segment.rotated_out:
            reader.add_ends_of(self._read_file(path, marks))
        previous = segment.previous
        # Dropped records are counted in heartbeats, which no segment repeats.
        if previous is not None and (
            not reader.spans.is_past_first_lines
            or (not reader.heartbeats and not _misses_heartbeats(reader, previous))
        ):
            if not reader.started:  # that file may hold all of the ring buffers' lines
                self._readers.pop(previous, None)
                marks = {}
            reader.previous = self._read_file(previous, marks)
            reader.add_ends_of(reader.previous)
        return reader

    def _read_file(self, path: Path, marks: dict[Path, int]) -> FileReader:
        reader = self._readers.setdefault(path, FileReader(path))
        self._used.add(path)
        reader.previous = None
        reader.read(marks.get(path, 0))
        return reader

    def _is_closed(self, path: Path) -> bool:
        """Whether the file's last line is the end of its process; cached by the file's size."""
        size = file_size(path)
        if self._closed.get(path) == size:
            return True
        if ends_with_process_end(path):
            self._closed[path] = size
            return True
        return False


def _newest(
    segments: Iterable[Path], marks: Mapping[Path, int]
) -> dict[tuple[str, int], _NewestSegment]:
    """Return the newest segment of each journal; `marks` has those listed earlier."""
    newest: dict[tuple[str, int], _NewestSegment] = {}
    for path in segments:
        name = parse_segment_name(path.name)
        if name is None:
            continue
        earlier = newest.get(name.stream)
        if earlier is None:
            newest[name.stream] = _NewestSegment(path, None, ())
        else:
            rotated_out = (*earlier.rotated_out, earlier.path) if path not in marks else ()
            newest[name.stream] = _NewestSegment(path, earlier.path, rotated_out)
    return newest


def _misses_heartbeats(reader: FileReader, previous: Path) -> bool:
    """Whether a segment was last written so long after the previous that heartbeats are missing.

    Then its processes send none, as `process.start` shows, or no longer.
    """
    starts = [reader.process_record(name, "start") for name in reader.process_ids()]
    intervals = [whole_number(one.extra.get("heartbeat_ms")) for one in starts if one is not None]
    if not any(intervals):
        return True
    elapsed_ns = modified_ns([reader.path]) - modified_ns([previous])
    return elapsed_ns >= silence_limit(max(intervals), has_ring=False) * 1e9
