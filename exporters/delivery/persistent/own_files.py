"""`OwnFiles`: the files that one exporter appends to in a folder, up to a size.

Only one process appends to a file. A new one is made when the last is full; beyond the
size of the folder the oldest of any exporter are deleted. Used by one thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.persistent.files import (
    QueueFileName,
    append_data,
    delete_file,
    list_files,
    read_data,
    slug_of,
    sync_file,
)
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.incarnation import current

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["OwnFiles", "QueueFile", "is_owned_here"]

_FILE_SIZE: Final = 1024 * 1024

_exporter_numbers: Final = count(1)
# The owners of files in this process.
_owners: Final[set[tuple[str, int]]] = set()


def is_owned_here(name: QueueFileName) -> bool:
    """Whether an exporter of this process still uses a file."""
    return (name.incarnation, name.exporter_number) in _owners


@dataclass(eq=False)
class QueueFile:
    """One file, and how much of it has been sent.

    Attributes:
        offset: How many bytes have been sent.
        accepted_when_refused: How many records of the same kind the destination had accepted
            when it refused all of the first entry; -1: it has not done that.
        accepted_when_failed: Likewise when the first entry failed for a time.
        failures: How often that entry, a single record, has failed while others were accepted.
    """

    name: QueueFileName
    records: int = 0
    size: int = 0
    offset: int = 0
    accepted_when_refused: int = -1
    accepted_when_failed: int = -1
    failures: int = 0

    def advance(self, offset: int) -> None:
        """Note that all up to `offset` was sent; another entry is the first now."""
        self.offset = offset
        self.accepted_when_refused = self.accepted_when_failed = -1
        self.failures = 0


class OwnFiles:
    """Appends to files of its own in a folder.

    Args:
        folder: The folder; created with mode 0700 when first needed.
        name: The destination.
        max_bytes: The maximum of bytes in the folder, of all destinations together;
            beyond it the oldest files are deleted, and their records counted.
        ending: The ending of the files' names.
        count_records: Returns how many records the content of a file has.
    """

    files: deque[QueueFile]
    _current: QueueFile | None
    _owner: tuple[str, int] | None
    _unsynced: bool
    _last: int

    def __init__(
        self,
        folder: Path,
        name: str,
        max_bytes: int,
        ending: str,
        count_records: Callable[[bytes], int],
    ) -> None:
        self.folder = folder
        self._slug = slug_of(name)
        self._where = f"{name}: {folder}"
        self._max_bytes = max_bytes
        self._file_size = min(_FILE_SIZE, max_bytes // 4)
        self._ending = ending
        self._count_records = count_records
        self._reset()
        after_fork_in_child(self._reset)

    def append_data(self, data: bytes, records: int) -> bool:
        """Write entries or lines with `records` to one file; return whether that was possible."""
        try:
            if not self._append_to_current(data):
                self._append_to_new(data)
        except OSError as error:
            COUNTERS.add("remote.persist_failed")
            report_problem(f"{self._where}: records cannot be kept for later", error)
            return False
        self._unsynced = True
        if self._current is not None:
            self._current.records += records
            self._current.size += len(data)
        return True

    def _append_to_current(self, data: bytes) -> bool:
        file = self._current
        if file is None or file.size + len(data) > self._file_size:
            return False
        try:
            append_data(self.folder, file.name.file, data, new=False)
        except FileNotFoundError:  # deleted to free space, or taken over
            self.forget(file)
        return self._current is file

    def _append_to_new(self, data: bytes) -> None:
        self.sync()
        self._last = max(time_ns(), self._last + 1)
        name = QueueFileName(self._slug, self._last, *self.owner, ending=self._ending)
        self._make_room(max(len(data), self._file_size))
        append_data(self.folder, name.file, data, new=True)
        self._current = QueueFile(name)
        self.files.append(self._current)

    @property
    def owner(self) -> tuple[str, int]:
        """The process and the exporter number in the names of the files."""
        if self._owner is None:
            self._owner = (current().id, next(_exporter_numbers))
            _owners.add(self._owner)
        return self._owner

    def _make_room(self, needed: int) -> None:
        """Delete the oldest files until `needed` more bytes fit."""
        found = list_files(self.folder, self._ending)
        total = sum(one.size for one in found) + needed
        for one in found:
            if total <= self._max_bytes:
                return
            total -= one.size
            lost = self.records_in(one.name)
            if not delete_file(self.folder, one.name.file):
                continue
            COUNTERS.add("remote.persisted_evicted", lost)
            report_problem(
                f"{self._where}: the oldest records are deleted",
                "they need more space than `persistent-queue-size`",
            )
            for mine in [file for file in self.files if file.name == one.name]:
                self.forget(mine)

    def records_in(self, name: QueueFileName) -> int:
        """Return how many records a file has; 0 if it cannot be read."""
        try:
            return self._count_records(read_data(self.folder, name.file))
        except OSError:
            return 0

    def close_current(self) -> None:
        """Append to another file from now on."""
        self.sync()
        self._current = None

    def sync(self) -> None:
        """Sync the last writes to disk."""
        if self._unsynced and self._current is not None:
            sync_file(self.folder, self._current.name.file)
        self._unsynced = False

    def close(self) -> None:
        """Leave the files to the next exporter. Idempotent."""
        _owners.discard(self.owner)
        self._reset()

    def forget(self, file: QueueFile) -> None:
        """Do not use a file any more: it is deleted or taken over."""
        if file in self.files:
            self.files.remove(file)
        if file is self._current:
            self._current = None

    def _reset(self) -> None:
        """Start without files; a forked child does not touch those of its parent."""
        self.files = deque()
        self._current = None
        self._owner = None
        self._unsynced = False
        self._last = 0
