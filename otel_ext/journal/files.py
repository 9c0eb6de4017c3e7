"""Names, lists and opens the journal's folders and files, safe from other users.

Folders have mode 0700 and files 0600; a link is not followed in the last step of a path;
Python lets started programs inherit no descriptor.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX
from otel_ext.runtime.process.incarnation import INCARNATION_ID
from otel_ext.runtime.process.records import PROCESS_END

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "TAIL_BYTES",
    "SegmentName",
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
    "list_rings",
    "list_segments",
    "make_folder",
    "newest_segments",
    "open_folder",
    "parse_ring_name",
    "parse_segment_name",
    "ring_file",
    "segment_file",
    "standard_descriptors_filled",
    "sync_data",
    "sync_folder",
]

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
TAIL_BYTES: Final = 16 * 1024
"""The end of a file that has its closing lines."""
_SEGMENT: Final = re.compile(
    rf"({INCARNATION_ID})(?:\.j(\d{{1,6}}))?(?:\.(\d{{1,6}}))?\.jsonl", re.ASCII
)
_RING: Final = re.compile(rf"(.+?)(?:\.(\d{{1,6}}))?{re.escape(RING_SUFFIX)}")
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


class SegmentName(NamedTuple):
    """The parts of a segment's file name; 0 for the first journal, and its first segment."""

    incarnation: str
    number: int
    journal: int = 0

    @property
    def stream(self) -> tuple[str, int]:
        """Incarnation and journal: equal for segments that follow each other."""
        return self.incarnation, self.journal


def segment_file(incarnation: str, number: int, journal: int = 0) -> str:
    """Return the file name of an incarnation's segment.

    >>> segment_file("b0-7-1-00000000", 0), segment_file("b0-7-1-00000000", 2)
    ('b0-7-1-00000000.jsonl', 'b0-7-1-00000000.2.jsonl')
    >>> segment_file("b0-7-1-00000000", 2, journal=1)
    'b0-7-1-00000000.j1.2.jsonl'
    """
    stream = f"{incarnation}.j{journal}" if journal else incarnation
    return f"{stream}.{number}.jsonl" if number else f"{stream}.jsonl"


def ring_file(incarnation: str, journal: int) -> str:
    """Return the file name of the ring buffer of an incarnation's journal.

    >>> ring_file("b0-7-1-00000000", 0), ring_file("b0-7-1-00000000", 2)
    ('b0-7-1-00000000.ring', 'b0-7-1-00000000.2.ring')
    """
    return f"{incarnation}.{journal}{RING_SUFFIX}" if journal else f"{incarnation}{RING_SUFFIX}"


def parse_ring_name(name: str) -> tuple[str, int]:
    """Return the incarnation and the journal number in a ring buffer's file name.

    >>> parse_ring_name("b0-7-1-00000000.2.ring"), parse_ring_name("b0-7-1-00000000.ring")
    (('b0-7-1-00000000', 2), ('b0-7-1-00000000', 0))
    """
    match = _RING.fullmatch(name)
    return (name, 0) if match is None else (match[1], int(match[2] or 0))


def parse_segment_name(name: str) -> SegmentName | None:
    """Return the parts of a segment's file name, or None for any other name.

    >>> parse_segment_name("b0-7-1-00000000.2.jsonl")
    SegmentName(incarnation='b0-7-1-00000000', number=2, journal=0)
    >>> parse_segment_name("trace.jsonl") is None
    True
    """
    match = _SEGMENT.fullmatch(name)
    return None if match is None else SegmentName(match[1], int(match[3] or 0), int(match[2] or 0))


def list_segments(folder: Path) -> list[Path]:
    """Return the `.jsonl` files of `folder`, those of one journal in the order written."""

    def order(path: Path) -> tuple[str, int, int]:
        parts = parse_segment_name(path.name)
        return (path.name, 0, 0) if parts is None else (*parts.stream, parts.number)

    try:
        found = [Path(entry) for entry in os.scandir(folder) if entry.name.endswith(".jsonl")]
    except OSError:
        return []
    return sorted(found, key=order)


def newest_segments(folder: Path) -> dict[tuple[str, int], Path]:
    """Return the newest segment of each journal in `folder`, by `SegmentName.stream`."""
    named = ((parse_segment_name(path.name), path) for path in list_segments(folder))
    return {name.stream: path for name, path in named if name is not None}


def list_rings(folder: Path, incarnation: str = "") -> list[Path]:
    """Return the ring buffers of a folder, by name; of one incarnation if that is not empty."""
    rings = folder / RING_FOLDER
    try:
        names = sorted(os.listdir(rings))  # noqa: PTH208 - names only
    except OSError:
        return []
    return [
        rings / name
        for name in names
        if name.startswith(incarnation) and name.endswith(RING_SUFFIX)
    ]


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
        JournalError: It is a link, belongs to another user, or cannot be opened.
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
        what = "is a link" if error.errno in {errno.ELOOP, errno.ENOTDIR} else error.strerror
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
