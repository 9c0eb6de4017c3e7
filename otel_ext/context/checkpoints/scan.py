"""Finds the records of a checkpoint in a folder: in its ring buffers and all its segments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_ext.errors import JournalError
from otel_ext.journal.names import list_rings, list_segments
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, open_to_read, read_blocks, scan_line
from otel_ext.record.entities import CHECKPOINT, entity_in
from otel_ext.record.sanitise.values import encode_plain
from otel_ext.runtime.process.records import PROCESS_END, PROCESS_START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.journal.outputs import Output

__all__ = ["CheckpointScan"]

_TYPE: Final = f'"{CHECKPOINT}"'.encode()
_PROCESS: Final = (f'"{PROCESS_START}"'.encode(), f'"{PROCESS_END}"'.encode())


class CheckpointScan:
    """The newest record about a checkpoint of each process, and what is known of these.

    Within one process the number of its records decides which is the newest. Damaged lines
    are skipped, so that the record before counts. Memory grows with the number of processes.

    Attributes:
        newest: By incarnation, the number of its newest record, and that line.
        starts: By incarnation, the line of its `process.start`.
        ended: The incarnations with a `process.end`.

    Args:
        name: The checkpoint's name.
        output: Where to look.

    Raises:
        JournalError: A file or the folder exists and cannot be read.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from otel_ext.journal.outputs import Output
    >>> CheckpointScan("import", Output(Path(mkdtemp()))).newest
    {}
    """

    def __init__(self, name: str, output: Output) -> None:
        self._name = name
        self._text = encode_plain(name)
        self.newest: dict[str, tuple[int, bytes]] = {}
        self.starts: dict[str, bytes] = {}
        self.ended: set[str] = set()
        try:
            # In this order a line that is moved meanwhile is read at least once.
            for path in list_rings(output.folder, or_fail=True):
                ring = read_ring(path)
                if any(one.reason == "unreadable" for one in ring.skipped) and path.exists():
                    raise _unreadable(name, path, "it cannot be opened")
                for line in ring.lines:
                    self._add(line)
            for path in self._files(output):
                for line in self._lines(path):
                    self._add(line)
        except OSError as error:
            raise _unreadable(name, output.path, error.strerror or str(error)) from error

    def _files(self, output: Output) -> list[Path]:
        return [output.file] if output.file else list_segments(output.folder, or_fail=True)

    def _lines(self, path: Path) -> Iterator[Line]:
        """Yield the lines of a file that may matter; none of one that was deleted meanwhile."""
        try:
            descriptor = open_to_read(path)
        except FileNotFoundError:
            return
        try:
            wanted = (self._text, *_PROCESS)
            for block in read_blocks(descriptor, 0, containing=wanted):
                for data in block.lines:
                    is_about = self._text in data and _TYPE in data
                    if is_about or any(text in data for text in _PROCESS):
                        yield from (one for one in scan_line(data) if isinstance(one, Line))
        finally:
            os.close(descriptor)

    def _add(self, line: Line) -> None:
        process, seq = line.key
        process = base_id(process)
        kind, event = line.meta["kind"], line.meta.get("event")
        if kind == "process" and event == PROCESS_START:
            self.starts[process] = line.data
        elif kind == "process" and event == PROCESS_END:
            self.ended.add(process)
        elif kind == "event":
            entity = entity_in(line.meta)
            if entity is not None and entity[:2] == (CHECKPOINT, self._name):
                known = self.newest.get(process)
                if known is None or known[0] <= seq:
                    self.newest[process] = seq, line.data


def _unreadable(name: str, path: Path, why: str) -> JournalError:
    return JournalError(
        f"checkpoint {name!r}: {path} cannot be read: {why}",
        hint="Allow this program to read the folder of its records.",
    )
