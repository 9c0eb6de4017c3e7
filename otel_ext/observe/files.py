"""Which files of a folder have to be read to know what is open, and with which ring buffers.

The newest segment of each journal repeats what was open when it began, so the
older ones are left alone. Until that repetition is complete the one before is read,
too; and of one that was left while the ring buffers were read, the ends. A file whose
last line says that its process ended is not read at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.files import ends_with_process_end, list_segments, parse_segment_name
from otel_ext.observe.ring_buffers import RingView, read_rings
from otel_ext.observe.scan import FileReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Files"]

_YOUNG_NS: Final = 10_000_000_000


class _Newest(NamedTuple):
    """A journal's newest segment.

    Attributes:
        path: The segment.
        before: The one before it.
        left: Those that were written to, and left, while the ring buffers were read.
    """

    path: Path
    before: Path | None
    left: tuple[Path, ...]


class Files:
    """The files of some folders; remembers what was read for the next time."""

    def __init__(self) -> None:
        self._readers: dict[Path, FileReader] = {}
        self._used: set[Path] = set()
        self._closed: dict[Path, int] = {}

    def read(self, places: Iterable[Path]) -> Iterator[tuple[FileReader, list[RingView]]]:
        """Yield each file that matters, read to its end, with the ring buffers that drain to it.

        Args:
            places: Folders of records, or single files of them.
        """
        self._used = set()
        for place in places:
            yield from self._read_place(place)
        self._readers = {path: self._readers[path] for path in self._used}

    def _read_place(self, place: Path) -> Iterator[tuple[FileReader, list[RingView]]]:
        is_file = place.is_file()
        folder = place.parent if is_file else place
        # In this order: what is in a file beyond its mark may be in a ring buffer, too, and
        # what the ring buffers say is drained is in the files that are listed after them.
        marks = {path: _size(path) for path in list_segments(folder)}
        rings = list(read_rings(folder))
        newest = {} if is_file else _newest(list_segments(folder), marks)
        by_file: dict[Path, list[RingView]] = {place: []} if is_file else {}
        by_path = {one.path: one for one in newest.values()}
        for journal, one in newest.items():
            if any(ring.stream == journal for ring in rings) or not self._is_closed(one.path):
                by_file[one.path] = []
        for ring in rings:
            path = folder / ring.file_name
            if not ring.target and ring.stream in newest:
                path = newest[ring.stream].path
            if not is_file or path == place:
                by_file.setdefault(path, []).append(ring)
        for path, mine in by_file.items():
            segment = by_path.get(path) or _Newest(path, None, ())
            yield self._follow(segment, marks), mine

    def _follow(self, segment: _Newest, marks: dict[Path, int]) -> FileReader:
        """Return the reader of a segment, with what is needed of those before it."""
        reader = self._read_file(segment.path, marks)
        for path in segment.left:
            reader.take_ends(self._read_file(path, marks))
        before = segment.before
        # The account of a process stands in its heartbeats, which no segment repeats.
        if before is not None and (
            not reader.is_whole or (not reader.heartbeats and _is_young(segment.path, before))
        ):
            if not reader.is_begun:  # what the ring buffers hold may all stand in that one
                self._readers.pop(before, None)
                marks = {}
            reader.before = self._read_file(before, marks)
            reader.take_ends(reader.before)
        return reader

    def _read_file(self, path: Path, marks: dict[Path, int]) -> FileReader:
        reader = self._readers.setdefault(path, FileReader(path))
        self._used.add(path)
        reader.before = None
        reader.read(marks.get(path, 0))
        return reader

    def _is_closed(self, path: Path) -> bool:
        """Whether the file's last line is the end of its process; looked at once a size."""
        size = _size(path)
        if self._closed.get(path) == size:
            return True
        if ends_with_process_end(path):
            self._closed[path] = size
            return True
        return False


def _newest(segments: Iterable[Path], marks: Mapping[Path, int]) -> dict[tuple[str, int], _Newest]:
    """Return the newest of each journal's segments.

    Args:
        segments: The segments, in their order.
        marks: What was there before the ring buffers were read, in the same order.
    """
    newest: dict[tuple[str, int], _Newest] = {}
    for path in segments:
        name = parse_segment_name(path.name)
        if name is None:
            continue
        earlier = newest.get(name.stream)
        if earlier is None:
            newest[name.stream] = _Newest(path, None, ())
        else:
            left = (*earlier.left, earlier.path) if path not in marks else ()
            newest[name.stream] = _Newest(path, earlier.path, left)
    return newest


def _is_young(segment: Path, before: Path) -> bool:
    """Whether a segment was last written so soon after the one before that no heartbeat is due."""
    try:
        return segment.stat().st_mtime_ns - before.stat().st_mtime_ns < _YOUNG_NS
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
