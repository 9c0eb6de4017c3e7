"""Which files of a folder have to be read to know what is open, and with which boxes.

The newest segment of each journal repeats what was open when it began, so the
older ones are left alone. For a moment after a change of segments that repetition
may not be complete; then the one before is read first. A file whose last line says
that its process ended is not read at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.cli.running_box import BoxView, read_boxes
from otel_ext.cli.running_scan import FileReader
from otel_ext.journal.files import ends_closed, list_segments, parse_segment_name
from otel_ext.journal.folder import is_young

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Files"]


class _Newest(NamedTuple):
    """A journal's newest segment, and the one before."""

    path: Path
    before: Path | None


class Files:
    """The files of some folders; remembers what was read for the next time."""

    def __init__(self) -> None:
        self._readers: dict[Path, FileReader] = {}
        self._closed: dict[Path, int] = {}

    def read(self, places: Iterable[Path]) -> Iterator[tuple[FileReader, list[BoxView]]]:
        """Yield each file that matters, read to its end, with the boxes that drain to it.

        Args:
            places: Folders of records, or single files of them.
        """
        used: set[Path] = set()
        for place in places:
            for reader, boxes in self._read_place(place):
                used.add(reader.path)
                yield reader, boxes
        self._readers = {path: reader for path, reader in self._readers.items() if path in used}

    def _read_place(self, place: Path) -> Iterator[tuple[FileReader, list[BoxView]]]:
        is_file = place.is_file()
        folder = place.parent if is_file else place
        # In this order: what is in a file beyond its mark may be in a box, too, and
        # what the boxes say is drained is in the files that are listed after them.
        marks = {path: _size(path) for path in list_segments(folder)}
        boxes = list(read_boxes(folder))
        newest = {} if is_file else _newest(list_segments(folder))
        by_file: dict[Path, list[BoxView]] = {place: []} if is_file else {}
        before: dict[Path, Path | None] = {}
        for journal, (path, earlier) in newest.items():
            before[path] = earlier
            if any(box.stream == journal for box in boxes) or not self._is_closed(path):
                by_file[path] = []
        for box in boxes:
            path = folder / box.file_name
            if not box.target and box.stream in newest:
                path = newest[box.stream].path
            if not is_file or path == place:
                by_file.setdefault(path, []).append(box)
        for path, mine in by_file.items():
            yield self._reader(path, before.get(path), marks), mine

    def _reader(self, path: Path, before: Path | None, marks: dict[Path, int]) -> FileReader:
        reader = self._readers.get(path)
        if reader is None:
            reader = FileReader(path)
            if before is not None and is_young(path, before):
                earlier = self._readers.get(before) or FileReader(before)
                earlier.read(marks.get(before, 0))
                reader.continue_from(earlier)
            self._readers[path] = reader
        reader.read(marks.get(path, 0))
        return reader

    def _is_closed(self, path: Path) -> bool:
        """Whether the file's last line is the end of its process; looked at once a size."""
        size = _size(path)
        if self._closed.get(path) == size:
            return True
        if ends_closed(path):
            self._closed[path] = size
            return True
        return False


def _newest(segments: Iterable[Path]) -> dict[tuple[str, int], _Newest]:
    """Return the newest of each journal's segments, given in their order."""
    newest: dict[tuple[str, int], _Newest] = {}
    for path in segments:
        name = parse_segment_name(path.name)
        if name is not None:
            earlier = newest.get(name.stream)
            newest[name.stream] = _Newest(path, earlier.path if earlier else None)
    return newest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
