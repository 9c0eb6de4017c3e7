"""`PersistentQueue`: keeps records on disk until they can be sent.

`DIR/.queue/` holds files of plain record lines, about a megabyte each, named by
destination, age and owner. Whole batches are written to them; the oldest file is read
first and deleted when all of it has been sent. A process takes over the files of a dead
one by renaming them, which only one process can do. Used by one thread.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from time import time, time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.persistent.files import (
    QueueFileName,
    append_data,
    count_lines,
    delete_file,
    list_files,
    read_lines,
    rename_file,
    slug_of,
    sync_file,
)
from otel_ext.exporters.delivery.persistent.lines import (
    QueueFile,
    decode_chunk,
    encode_record,
    split_by_size,
    with_processes,
)
from otel_ext.journal.liveness import LONGEST_SILENCE, identity_from_id, is_alive
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.incarnation import current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_ext.exporters.delivery.persistent.files import FoundFile
    from otel_ext.exporters.delivery.persistent.lines import Chunk
    from otel_ext.record.model import Record

__all__ = ["PersistentQueue"]

_FILE_SIZE: Final = 1024 * 1024

_exporter_numbers: Final = count(1)
# The owners of files in this process: `INCARNATION.NUMBER`.
_owners: Final[set[str]] = set()


class PersistentQueue:
    """Keeps records of one destination in a folder, up to a size.

    Args:
        folder: The folder; created with mode 0700 when first needed.
        name: The destination.
        max_bytes: The maximum of bytes in the folder, of all destinations together;
            beyond it the oldest files are deleted, and their records counted.
    """

    _files: deque[QueueFile]
    _current: QueueFile | None
    _owner: tuple[str, int] | None
    _unsynced: bool
    _last: int

    def __init__(self, folder: Path, name: str, max_bytes: int) -> None:
        self.folder = folder
        self._slug = slug_of(name)
        self._where = f"{name}: {folder}"
        self._max_bytes = max_bytes
        self._file_size = min(_FILE_SIZE, max_bytes // 4)
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def waiting(self) -> int:
        """How many records wait; a file that was sent in part counts as a whole."""
        return sum(file.records for file in self._files)

    def append(self, records: Sequence[Record]) -> bool:
        """Write a batch; whether all of it is on disk."""
        pairs = [(record, encode_record(record)) for record in records]
        lines = [(record, line) for record, line in pairs if line is not None]
        try:
            for part in split_by_size(lines, self._file_size):
                if not self._append_to_current(part):
                    self._append_to_new(part)
        except OSError as error:
            COUNTERS.add("remote.persist_failed")
            report_problem(f"{self._where}: records cannot be kept for later", error)
            return False
        return True

    def _append_to_current(self, lines: list[tuple[Record, bytes]]) -> bool:
        file = self._current
        if file is None or file.size + sum(len(line) for _, line in lines) > self._file_size:
            return False
        data = with_processes(lines, file.known)
        try:
            append_data(self.folder, file.name.file, data, new=False)
        except FileNotFoundError:  # deleted to free space, or taken over
            self._forget(file)
            return False
        file.records += len(lines)
        file.size += len(data)
        self._unsynced = True
        return True

    def _append_to_new(self, lines: list[tuple[Record, bytes]]) -> None:
        self.sync()
        self._owner = self._owner or self._become_owner()
        self._last = max(time_ns(), self._last + 1)
        name = QueueFileName(self._slug, self._last, *self._owner)
        file = QueueFile(name, len(lines), 0)
        data = with_processes(lines, file.known)
        self._make_room(len(data))
        append_data(self.folder, name.file, data, new=True)
        file.size = len(data)
        self._files.append(file)
        self._current = file
        self._unsynced = True

    def _become_owner(self) -> tuple[str, int]:
        owner = (current().id, next(_exporter_numbers))
        _owners.add(f"{owner[0]}.{owner[1]}")
        return owner

    def _make_room(self, needed: int) -> None:
        """Delete the oldest files until `needed` more bytes fit."""
        found = list_files(self.folder)
        total = sum(one.size for one in found) + needed
        for one in found:
            if total <= self._max_bytes:
                return
            total -= one.size
            lost = count_lines(self.folder, one.name.file)
            if not delete_file(self.folder, one.name.file):
                continue
            COUNTERS.add("remote.persisted_evicted", lost)
            report_problem(
                f"{self._where}: the oldest records are deleted",
                "they wait for their destination and need more space than `persistent-queue-size`",
            )
            for mine in [file for file in self._files if file.name == one.name]:
                self._forget(mine)

    def adopt(self) -> int:
        """Take over the files of dead processes for this destination; return how many."""
        self._owner = self._owner or self._become_owner()
        taken = 0
        for one in list_files(self.folder):
            if one.name.slug != self._slug or not self._is_abandoned(one):
                continue
            name = one.name._replace(incarnation=self._owner[0], exporter_number=self._owner[1])
            if not rename_file(self.folder, one.name, name):
                continue
            records = count_lines(self.folder, name.file)
            self._files.append(QueueFile(name, records, one.size))
            COUNTERS.add("remote.persisted_adopted", records)
            if name.begun:
                COUNTERS.add("remote.maybe_twice", records)
            taken += 1
        if taken:
            self._files = deque(sorted(self._files, key=lambda file: file.name.number))
        return taken

    def _is_abandoned(self, one: FoundFile) -> bool:
        """Whether the owner of the file is gone, so that it will not send the file."""
        name = one.name
        if name.incarnation == current().id:
            return f"{name.incarnation}.{name.exporter_number}" not in _owners
        identity = identity_from_id(name.incarnation)
        alive = "unknown" if identity is None else is_alive(identity)
        return alive == "dead" or (alive == "unknown" and time() - one.modified > LONGEST_SILENCE)

    def next_chunk(self) -> Chunk | None:
        """Return the next chunk, None if nothing waits; the same one until `done`."""
        while self._files:
            file = self._files[0]
            if file is self._current:
                self._current = None  # later records go to another file
            if not file.name.begun:
                begun = file.name._replace(begun=True)
                if rename_file(self.folder, file.name, begun):
                    file.name = begun
            try:
                lines = read_lines(self.folder, file.name.file, file.offset, file.limit)
            except FileNotFoundError:  # deleted to free space, or taken over
                self._forget(file)
                continue
            except OSError as error:
                report_problem(f"{self._where}: records cannot be read", error)
                return None
            chunk = decode_chunk(file, lines)
            if chunk.records or not chunk.at_end:
                return chunk
            self._delete(file)
        return None

    def done(self, chunk: Chunk) -> None:
        """Remove a chunk that has been sent, or stored elsewhere."""
        chunk.file.offset = chunk.offset
        chunk.file.note_success()
        if chunk.at_end:
            self._delete(chunk.file)

    def move_to_end(self, file: QueueFile) -> None:
        """Send the other files before this one."""
        if file in self._files:
            self._files.remove(file)
            self._files.append(file)

    def sync(self) -> None:
        """Sync the last writes to disk."""
        if self._unsynced and self._current is not None:
            sync_file(self.folder, self._current.name.file)
        self._unsynced = False

    def close(self) -> None:
        """Leave the files to the next exporter. Idempotent."""
        if self._owner is not None:
            _owners.discard(f"{self._owner[0]}.{self._owner[1]}")
        self._reset()

    def _delete(self, file: QueueFile) -> None:
        delete_file(self.folder, file.name.file)
        self._forget(file)

    def _forget(self, file: QueueFile) -> None:
        if file in self._files:
            self._files.remove(file)
        if file is self._current:
            self._current = None

    def _reset(self) -> None:
        """Start without files; a forked child does not touch those of its parent."""
        self._files = deque()
        self._current = None
        self._owner = None
        self._unsynced = False
        self._last = 0
