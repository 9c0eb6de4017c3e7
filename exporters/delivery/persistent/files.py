"""Names, writes and reads the files of a persistent queue.

No file stays open between two calls, so a forked child inherits none. Links are not
followed, and only plain files of this user are used.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.journal.files import create_exclusive, make_folder, open_folder, sync_data
from otel_ext.runtime.process.incarnation import INCARNATION_ID

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "LETTERS",
    "REQUESTS",
    "FoundFile",
    "QueueFileName",
    "append_data",
    "delete_file",
    "list_files",
    "read_data",
    "rename_file",
    "slug_of",
    "sync_file",
]

REQUESTS: Final = "requests"
"""The ending of a file of requests that wait."""
LETTERS: Final = "jsonl"
"""The ending of a file of dead letters."""

_NAME: Final = re.compile(
    rf"([a-z0-9_-]{{1,40}})\.(\d{{1,20}})\.({INCARNATION_ID})\.(\d{{1,10}})"
    rf"(\.begun)?\.({REQUESTS}|{LETTERS})",
    re.ASCII,
)
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
# If the name is a named pipe, opening it must not block.
_SAFE: Final = _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
# More than any file that was written here.
_MAX_READ: Final = 256 * 1024 * 1024


class QueueFileName(NamedTuple):
    """The parts of a file name in a persistent queue.

    Attributes:
        slug: The destination.
        number: When the file was created, in nanoseconds; the oldest has the lowest.
        incarnation: The process that owns the file.
        exporter_number: Which exporter of that process owns it.
        begun: Whether some of it may have been sent already.
        ending: What the file contains: `requests` or, for dead letters, `jsonl`.
    """

    slug: str
    number: int
    incarnation: str
    exporter_number: int
    begun: bool = False
    ending: str = REQUESTS

    @property
    def file(self) -> str:
        """The name.

        >>> QueueFileName("otlp", 7, "b0-7-1-00000000", 1).file
        'otlp.7.b0-7-1-00000000.1.requests'
        """
        owner = f"{self.incarnation}.{self.exporter_number}"
        begun = ".begun" if self.begun else ""
        return f"{self.slug}.{self.number}.{owner}{begun}.{self.ending}"

    @classmethod
    def parse(cls, text: str) -> QueueFileName | None:
        """Return the parts of a name, None for any other.

        >>> QueueFileName.parse("otlp.7.b0-7-1-00000000.1.begun.requests").begun
        True
        """
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        begun = match[5] is not None
        return cls(match[1], int(match[2]), match[3], int(match[4]), begun, match[6])


class FoundFile(NamedTuple):
    """A file of the folder: its name, its size in bytes, and the time of its last write."""

    name: QueueFileName
    size: int
    modified: float


def slug_of(name: str) -> str:
    """Turn the name of a destination into a part of a file name.

    >>> slug_of("OTLP"), slug_of("../my backend")
    ('otlp', '---my-backend')
    """
    return re.sub(r"[^a-z0-9_-]", "-", name.lower())[:40] or "remote"


@contextmanager
def _opened(folder: Path, *, create: bool = False) -> Generator[int, None, None]:
    """Open the folder; with `create`, create it and its parents if they are missing."""
    if create and not folder.is_dir():
        make_folder(folder.parent)
    descriptor = open_folder(folder, create=create)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def append_data(folder: Path, file: str, data: bytes, *, new: bool) -> None:
    """Append all of `data` to a file, or leave the file as it was.

    Args:
        folder: The folder; created if `new`.
        file: The name of the file.
        data: Whole entries or lines.
        new: Whether to create the file; else it must exist.

    Raises:
        OSError: It cannot be written; `FileNotFoundError` if it was removed or renamed.
    """
    with _opened(folder, create=new) as parent:
        flags = os.O_WRONLY | os.O_APPEND
        if new:
            descriptor = create_exclusive(file, flags, dir_fd=parent)
        else:
            descriptor = os.open(file, flags | _SAFE, dir_fd=parent)
        try:
            before = _checked_size(descriptor)
            _write(descriptor, data, before)
        except OSError:
            if new:
                with suppress(OSError):
                    os.unlink(file, dir_fd=parent)
            raise
        finally:
            os.close(descriptor)


def _checked_size(descriptor: int) -> int:
    """Return the size of an open file, after checking that it is a plain file of this user."""
    status = os.fstat(descriptor)
    owner = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid != owner:
        raise JournalError("a file in the persistent queue is not a plain file of this user")
    return status.st_size


def _write(descriptor: int, data: bytes, before: int) -> None:
    rest = memoryview(data)
    try:
        while rest:
            written = os.write(descriptor, rest)
            rest = rest[written:]
    except OSError:
        with suppress(OSError):  # leave no part of it
            os.ftruncate(descriptor, before)
        raise


def read_data(folder: Path, file: str) -> bytes:
    """Read a file.

    Raises:
        OSError: The file cannot be read, or is gone.
    """
    with _opened(folder) as parent:
        descriptor = os.open(file, os.O_RDONLY | _SAFE, dir_fd=parent)
        try:
            return os.pread(descriptor, min(_checked_size(descriptor), _MAX_READ), 0)
        finally:
            os.close(descriptor)


def list_files(folder: Path, ending: str = REQUESTS) -> list[FoundFile]:
    """Return the files of a folder with an ending, the oldest first; none if it is missing."""
    found: list[FoundFile] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = QueueFileName.parse(entry.name)
            if name is None or name.ending != ending or not entry.is_file(follow_symlinks=False):
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                found.append(FoundFile(name, status.st_size, status.st_mtime))
    return sorted(found, key=lambda one: one.name.number)


def rename_file(folder: Path, old: QueueFileName, new: QueueFileName) -> bool:
    """Rename a file atomically; False if another process was faster."""
    try:
        with _opened(folder) as parent:
            os.rename(old.file, new.file, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        return False
    return True


def delete_file(folder: Path, file: str) -> bool:
    """Delete a file; whether it existed."""
    try:
        with _opened(folder) as parent:
            os.unlink(file, dir_fd=parent)
    except OSError:
        return False
    return True


def sync_file(folder: Path, file: str) -> None:
    """Sync a file's data to disk; does nothing if the file is gone."""
    with suppress(OSError), _opened(folder) as parent:
        descriptor = os.open(file, os.O_WRONLY | _SAFE, dir_fd=parent)
        try:
            sync_data(descriptor)
        finally:
            os.close(descriptor)
