"""Makes and opens the journal's folders and files, safe from other users.

Folders have mode 0700 and files 0600; a link is not followed in the last step of a path;
Python lets started programs inherit no descriptor.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.runtime.process.records import PROCESS_END

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "TAIL_BYTES",
    "Target",
    "can_make_files_in",
    "create_exclusive",
    "ends_with_newline",
    "ends_with_process_end",
    "file_size",
    "folder_of",
    "ignore_in_git",
    "is_folder",
    "is_gone",
    "make_folder",
    "open_folder",
    "standard_descriptors_filled",
    "sync_data",
    "sync_folder",
]

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
TAIL_BYTES: Final = 16 * 1024
"""The end of a file that has its closing lines."""
_END: Final = f'"event":"{PROCESS_END}"'.encode()
_NUMBER: Final = re.compile(rb'"seq": ?(\d{1,19}),"process":')
_LEFT_OPEN: Final = re.compile(rb'"open_spans": ?[1-9]')


class Target(NamedTuple):
    """Where records go.

    Attributes:
        folder: The folder of the file.
        incarnation: Id of the incarnation that writes.
        file: Name of the one file to append to; empty for segments.
        journal: Number of the journal, if the incarnation has several in the folder.
    """

    folder: Path
    incarnation: str
    file: str = ""
    journal: int = 0


def is_folder(path: Path) -> bool:
    """Return whether it is a folder; `Path.is_dir` raises if a folder may not be searched."""
    return os.path.isdir(path)  # noqa: PTH112


def folder_of(path: Path) -> Path:
    """Return the folder of the ring buffers: `path`, or the folder of a single file."""
    return path if is_folder(path) else path.absolute().parent


def make_folder(path: Path) -> None:
    """Create the folder for records and its parents unless it exists.

    Raises:
        JournalError: It cannot be created, or something else has its name.
    """
    if is_folder(path):
        return
    try:
        try:
            os.mkdir(path, 0o700)  # noqa: PTH102 - on the user's path, kept light
        except FileNotFoundError:
            path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        if is_folder(path):  # another process has just created it
            return
        if isinstance(error, FileExistsError):
            raise JournalError(
                f"{str(path)!r} is not a folder",
                hint="Name a folder, or remove the file of that name.",
            ) from None
        raise JournalError(
            f"the folder {str(path)!r} cannot be created: {error.strerror}",
            hint="Name a folder that this user can write to.",
            context={"path": str(path), "errno": error.errno},
        ) from error
    _new_folders.add(str(path))


# Folders that this process has created and that have no .gitignore yet.
_new_folders: Final[set[str]] = set()


def ignore_in_git(path: Path) -> None:
    """Make git ignore a folder that `make_folder` has created.

    Not done there, on the thread of a span, which must not wait for the disk.
    """
    if str(path) not in _new_folders:
        return
    _new_folders.discard(str(path))
    with suppress(OSError):
        descriptor = create_exclusive(path / ".gitignore", os.O_WRONLY)
        try:
            os.write(descriptor, b"*\n")
        finally:
            os.close(descriptor)


def open_folder(path: Path, *, create: bool = False) -> int:
    """Open a private folder of the journal and return its descriptor.

    Args:
        path: The folder; must not be a link and must belong to this user.
        create: Create it, with mode 0700, if it is missing.

    Raises:
        JournalError: It is a link or not a folder, belongs to another user, or cannot be opened.
        FileNotFoundError: It is missing.
    """
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102 - on the user's path, kept light
        descriptor = os.open(path, os.O_RDONLY | _DIRECTORY | _NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        is_other = error.errno in {errno.ELOOP, errno.ENOTDIR}
        what = "is a link or not a folder" if is_other else error.strerror
        raise JournalError(
            f"the folder {str(path)!r} cannot be used: {what}",
            hint="Remove it, or name another folder for the records.",
            context={"path": str(path), "errno": error.errno},
        ) from error
    try:
        _make_private(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_private(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise JournalError(
            f"the folder {str(path)!r} belongs to another user",
            hint="Name another folder for the records.",
            context={"path": str(path), "owner": status.st_uid},
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.fchmod(descriptor, 0o700)


def create_exclusive(name: str | Path, flags: int, *, dir_fd: int | None = None) -> int:
    """Create a file with mode 0600, which must not exist yet, and return its descriptor."""
    flags |= os.O_CREAT | os.O_EXCL | _NOFOLLOW
    return os.open(name, flags, 0o600, dir_fd=dir_fd)


@contextmanager
def standard_descriptors_filled() -> Generator[None, None, None]:
    """Keep files opened inside off the descriptors 0 to 2, which a daemon may have closed.

    Otherwise code that prints without a check, as C code does, prints into the records.
    """
    held: list[int] = []
    try:
        with suppress(OSError):  # records under such a number are better than none
            while not all(map(_is_open, range(3))):
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_gone(path: Path) -> bool:
    """Return whether the file no longer exists; false if it only cannot be reached.

    A process that gave up its privileges may not search the folder of its own files,
    and a disk may fail for a while.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def can_make_files_in(folder: Path) -> bool:
    """Return whether this process may create files in `folder`; true if that is gone."""
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective) or is_gone(folder)


def sync_folder(path: Path) -> None:
    """Sync the folder's entries to the disk, where the system can do that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _DIRECTORY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Sync the data of an open file to the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def ends_with_newline(path: Path) -> bool:
    """Return whether the last byte is a newline; true if the file is empty or unreadable."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True


def file_size(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it is missing or cannot be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def ends_with_process_end(path: Path) -> bool:
    """Return whether the file ends with a `process.end` that leaves no spans open.

    Such a file needs no recovery.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
    except OSError:
        return True  # gone, or this user may not read it
    last = tail.rstrip(b"\n").rpartition(b"\n")[2]
    if not tail.endswith(b"\n") or _END not in last or _LEFT_OPEN.search(last):
        return False
    # Of several, which threads write during the exit, the last may be outdated: it counts no
    # span that started later, and such a span's records have higher numbers.
    numbers = [int(number) for number in _NUMBER.findall(tail)]
    return numbers[-1:] == [max(numbers, default=0)]
