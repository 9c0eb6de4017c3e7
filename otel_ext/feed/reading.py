"""`FolderReader`: reads what was added to the files and ring buffers of a folder of records."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.journal.names import list_rings, list_segments
from otel_ext.journal.read.follow import FollowedFile
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, scan_line
from otel_ext.store.entries import EntryReader
from otel_ext.store.protocol import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_ext.journal.read.scanner import Block
    from otel_ext.store.entries import Entry

__all__ = ["FolderReader", "ReadEntries"]

_NANOSECONDS: Final = 10**9
# A worker that has not stamped its ring buffer for so long does not empty it either.
_SILENT_NS: Final = _NANOSECONDS
_RINGS_EVERY: Final = 1.0


class ReadEntries(NamedTuple):
    """What was read.

    Attributes:
        entries: The records.
        positions: Up to where the files were read.
        size: How many bytes were read.
        records: How many records were read; of a span that started and ended, the start is not
            among the entries.
        skipped: How many lines are damaged, or no records that can be stored.
    """

    entries: Sequence[Entry]
    positions: Sequence[Position]
    size: int
    records: int
    skipped: int


class FolderReader:
    """Reads the records of a folder from some positions on; a second call reads what is new.

    Besides files it reads the ring buffers of processes that do not empty them, such as those
    that hang. Records that are in both are read twice, which a store does not mind.

    Args:
        folder: The folder.
        positions: Up to where its files were read before.
        below: Name of a folder in it whose files are read, too; empty for none.
    """

    def __init__(
        self, folder: Path, positions: Iterable[Position] = (), *, below: str = ""
    ) -> None:
        self._folder = folder
        # By what their files' names in positions begin with.
        self._folders = {"": folder, f"{below}/": folder / below} if below else {"": folder}
        self._known = {one.file: one for one in positions}
        self._files: dict[str, FollowedFile] = {}
        self._turn = ""
        self._next_rings = 0.0
        self._in_ring: dict[Path, frozenset[tuple[str, int]]] = {}

    def read(self, size: int) -> ReadEntries:
        """Return the records that were added, up to about some size.

        Args:
            size: After how many bytes to stop; the next call goes on there.
        """
        found = _Reading()
        names = self._names()
        positions = [Position(name, 0, 0) for name in self._known.keys() - names.keys()]
        for gone in positions:
            del self._known[gone.file]
            self._files.pop(gone.file, None)
        for name in self._in_turn(names):
            file = self._file(name, names[name])
            if not _has_more(file):
                continue
            self._turn = name
            for block in file.added():
                found.add(block)
                if found.size >= size:
                    break
            position = Position(name, file.inode, file.offset)
            if position != self._known.get(name):
                self._known[name] = position
                positions.append(position)
            if found.size >= size:
                break
        else:
            self._read_rings(found)
        reader = found.reader
        entries = reader.take()
        return ReadEntries(entries, positions, found.size, reader.accepted, reader.refused)

    def remaining(self) -> int:
        """Return how many bytes of the files are not read yet."""
        files = (self._file(name, path) for name, path in self._names().items())
        return sum(max(_size(file.path) - file.offset, 0) for file in files)

    def _names(self) -> dict[str, Path]:
        """Return the files by the names that positions have."""
        return {
            prefix + path.name: path
            for prefix, folder in self._folders.items()
            for path in list_segments(folder)
        }

    def _in_turn(self, names: Iterable[str]) -> list[str]:
        """Return the names, those behind the one that was read last first."""
        ordered = list(names)
        if self._turn not in ordered:
            return ordered
        at = ordered.index(self._turn) + 1
        return ordered[at:] + ordered[:at]

    def _file(self, name: str, path: Path) -> FollowedFile:
        file = self._files.get(name)
        if file is None:
            _, inode, offset = self._known.get(name, Position(name, 0, 0))
            file = self._files[name] = FollowedFile(path, offset=offset, inode=inode)
        return file

    def _read_rings(self, found: _Reading) -> None:
        """Read the lines of ring buffers that their processes do not empty."""
        if monotonic() < self._next_rings:
            return
        self._next_rings = monotonic() + _RINGS_EVERY
        seen: dict[Path, frozenset[tuple[str, int]]] = {}
        for path in list_rings(self._folder):
            if time_ns() - read_ring(path, lines=False).stamp_ns < _SILENT_NS:
                continue
            ring = read_ring(path)
            known = self._in_ring.get(path, frozenset())
            waiting = [line for line in ring.lines if not ring.is_drained(line)]
            for line in waiting:
                if line.key not in known:
                    found.reader.add(line.data)
            seen[path] = frozenset(line.key for line in waiting)
        self._in_ring = seen


class _Reading:
    """Collects what one call reads."""

    def __init__(self) -> None:
        self.reader = EntryReader()
        self.size = 0

    def add(self, block: Block) -> None:
        """Add the records of some lines, also those within damaged ones."""
        add = self.reader.add
        for data in block.lines:
            if data and not add(data):
                for item in scan_line(data):
                    if isinstance(item, Line) and item.data != data:
                        add(item.data)
        self.size += block.end - block.offset


def _has_more(file: FollowedFile) -> bool:
    """Whether a file has bytes that were not read, or is another one now."""
    try:
        status = file.path.stat()
    except OSError:
        return False
    return status.st_size != file.offset or status.st_ino != file.inode


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
