"""Opening the journal's folders and files so that nobody else can steer them.

Folders are 0700 and files 0600; no link is followed in the last step of a path;
nothing is inherited by programs that are started.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX

__all__ = [
    "SegmentName",
    "StandardDescriptorsFilled",
    "Target",
    "can_make_files_in",
    "create_exclusive",
    "ends_with_newline",
    "ends_with_process_end",
    "folder_of",
    "ignore_in_git",
    "is_folder",
    "is_gone",
    "list_rings",
    "list_segments",
    "make_folder",
    "open_folder",
    "parse_ring_name",
    "parse_segment_name",
    "ring_file",
    "segment_file",
    "sync_data",
    "sync_folder",
]

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_STANDARD: Final = range(3)
_TAIL_BYTES: Final = 16 * 1024
_ID: Final = r"[0-9a-z]{1,40}-\d{1,20}-\d{1,20}-[0-9a-f]{8}"
_SEGMENT: Final = re.compile(rf"({_ID})(?:\.j(\d{{1,6}}))?(?:\.(\d{{1,6}}))?\.jsonl", re.ASCII)
_RING: Final = re.compile(rf"(.+?)(?:\.(\d{{1,6}}))?{re.escape(RING_SUFFIX)}")
_END: Final = b'"event":"process.end"'
_LEFT_OPEN: Final = re.compile(rb'"open_spans": ?[1-9]')


class Target(NamedTuple):
    """Where records go.

    Attributes:
        folder: The folder the file is in.
        incarnation: Whose segments they are.
        file: Name of the one file to append to; empty for segments.
        journal: Which journal of that incarnation it is.
    """

    folder: Path
    incarnation: str
    file: str = ""
    journal: int = 0


class SegmentName(NamedTuple):
    """A segment's file name taken apart.

    Attributes:
        incarnation: Whose it is.
        number: 0 for the journal's first segment.
        journal: 0 for the first journal of its process in the folder.
    """

    incarnation: str
    number: int
    journal: int = 0

    @property
    def stream(self) -> tuple[str, int]:
        """The journal that it belongs to: segments of one follow each other."""
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
    ('b0-7-1-00000000.box', 'b0-7-1-00000000.2.box')
    """
    return f"{incarnation}.{journal}{RING_SUFFIX}" if journal else f"{incarnation}{RING_SUFFIX}"


def parse_ring_name(name: str) -> tuple[str, int]:
    """Return the incarnation and the journal that a ring buffer's file name tells.

    >>> parse_ring_name("b0-7-1-00000000.2.box"), parse_ring_name("b0-7-1-00000000.box")
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
    """Return the `.jsonl` files of `folder`, each journal's in their order."""

    def order(path: Path) -> tuple[str, int, int]:
        parts = parse_segment_name(path.name)
        return (path.name, 0, 0) if parts is None else (*parts.stream, parts.number)

    try:
        found = [Path(entry) for entry in os.scandir(folder) if entry.name.endswith(".jsonl")]
    except OSError:
        return []
    return sorted(found, key=order)


def list_rings(folder: Path, incarnation: str = "") -> list[Path]:
    """Return the ring buffers of a folder of records, by name.

    Args:
        folder: The folder of records.
        incarnation: Only those of it; empty for all.
    """
    try:
        return sorted((folder / RING_FOLDER).glob(f"{incarnation}*{RING_SUFFIX}"))
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Return whether a folder is there, as far as can be seen.

    Not `Path.is_dir`: that raises where a folder above may not be searched.
    """
    return os.path.isdir(path)  # noqa: PTH112 - see above


def folder_of(path: Path) -> Path:
    """Return the folder that files and ring buffers are in: `path`, or the one of a single file."""
    return path if is_folder(path) else path.absolute().parent


def make_folder(path: Path) -> None:
    """Make the folder for records, with what is above it, unless it is there.

    Raises:
        JournalError: It cannot be made, or something else has its name.
    """
    if is_folder(path):
        return
    try:
        try:
            os.mkdir(path, 0o700)  # noqa: PTH102 - on the user's path, kept light
        except FileNotFoundError:
            path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        if is_folder(path):  # another process has just made it
            return
        if isinstance(error, FileExistsError):
            raise JournalError(
                f"{str(path)!r} is not a folder", hint="Name a folder, or remove what is there."
            ) from None
        raise JournalError(
            f"the folder {str(path)!r} cannot be made: {error.strerror}",
            hint="Name a folder that this user can write to.",
            context={"path": str(path), "errno": error.errno},
        ) from error
    _new_folders.add(str(path))


# Folders that this process has made, and in which `ignore_in_git` has not been yet.
_new_folders: Final[set[str]] = set()


def ignore_in_git(path: Path) -> None:
    """Tell git to leave out a folder that `make_folder` has made.

    Not done there: that may be the thread of a span, which a disk must not hold up.
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
    """Open a private folder of ours and return its descriptor.

    Args:
        path: The folder; must not be a link and must belong to this user.
        create: Make it, with mode 0700, if it is missing.

    Raises:
        JournalError: It is a link, belongs to another user, or cannot be opened.
        FileNotFoundError: It is missing.
    """
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102 - on the user's path, kept light
        descriptor = os.open(path, os.O_RDONLY | _DIRECTORY | _NOFOLLOW | _CLOEXEC)
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
    """Create a file that is not there yet, mode 0600, and return its descriptor."""
    flags |= os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=dir_fd)


class StandardDescriptorsFilled:
    """Keeps what is opened inside off the numbers 0 to 2, where a daemon has closed those.

    Whoever prints without a look, as C code does, would print into the records.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[int] = []

    def __enter__(self) -> None:
        """Open those of the descriptors 0 to 2 that are closed."""
        with suppress(OSError):  # of two evils: records there, not none
            while not all(map(_is_open, _STANDARD)):
                self._held.append(os.open(os.devnull, os.O_RDONLY | _CLOEXEC))

    def __exit__(self, *_: object) -> None:
        """Close those that were opened."""
        for descriptor in self._held:
            os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_gone(path: Path) -> bool:
    """Whether nothing has this name any more; not where it is only out of reach.

    A process that gave up its privileges may not look into the folder of its own
    files, and a disk may fail for a while.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def can_make_files_in(folder: Path) -> bool:
    """Whether this process may make files in `folder`, or may make it: it is gone."""
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective) or is_gone(folder)


def sync_folder(path: Path) -> None:
    """Bring the folder's entries to the disk, where the system can do that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _DIRECTORY | _CLOEXEC)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Bring the data of an open file to the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def ends_with_newline(path: Path) -> bool:
    """Whether a file's last byte is a newline; true for an empty one, or if it cannot be told."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True


def ends_with_process_end(path: Path) -> bool:
    """Whether the file's last line is the end of its process, so that it need not be read.

    An end that tells of spans that are still open closes nothing.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return True  # not ours to read, or gone
    last = tail.rstrip(b"\n").rpartition(b"\n")[2]
    return tail.endswith(b"\n") and _END in last and _LEFT_OPEN.search(last) is None
