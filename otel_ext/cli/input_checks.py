"""Checks whether records can be read from a path; the errors are the same for all commands."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from otel_ext.errors import RecordError, UsageError
from otel_ext.journal.names import list_segments
from otel_ext.journal.path_check import problem_with
from otel_ext.record.decode import decode_line
from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.terminal.output import warn

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "InputKind",
    "has_record",
    "is_there",
    "not_records",
    "require_readable",
    "unreadable",
]

InputKind: TypeAlias = Literal["paths", "folders", "streams"]
"""What a command reads: files and folders, folders only, or pipes too."""

_FORMAT: Final = (
    "A file of records has one JSON object a line; those of other tools: otel-ext convert FILE"
)
_META: Final = f'"{META_KEY}"'.encode()
_BEGINNING: Final = 16
_OTHER_FORMATS: Final = (
    (b"\x1f\x8b", "It is compressed: gzip -dc FILE | otel-ext validate -"),
    (b"\x28\xb5\x2f\xfd", "It is compressed: zstd -dc FILE | otel-ext validate -"),
    (b"\xff\xfe", "It is text in UTF-16; the format is UTF-8"),
    (b"SQLite format 3", "It is a database; its records are in the *.jsonl files"),
)


def require_readable(path: Path, label: str, kind: InputKind, hint: str) -> None:
    """Raise an error if records cannot be read from `path`.

    Args:
        path: A file or folder.
        label: The name to print in messages.
        kind: What the command reads.
        hint: What to do if the path is missing.

    Raises:
        UsageError: It is missing, cannot be read, or does not contain records.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
            os.stat(os.path.join(path, "."))  # noqa: PTH116, PTH118 - Path drops the dot
    except (FileNotFoundError, NotADirectoryError, ValueError):
        message = f"{label}: there is no such folder or file"
        raise UsageError(message, hint=hint) from None
    except OSError as error:
        what, hint = unreadable(error)
        raise UsageError(f"{label}: {what}", hint=hint) from None
    if not stat.S_ISDIR(mode):
        _check_file(path, mode, label, kind)
    elif kind != "streams":
        _check_files_in(path, label)


def _check_files_in(folder: Path, label: str) -> None:
    """Print how many files of a folder cannot be read; raise an error if none can be."""
    effective = os.access in os.supports_effective_ids
    files = list_segments(folder)
    unreadable_files = [
        path for path in files if not os.access(path, os.R_OK, effective_ids=effective)
    ]
    if not unreadable_files:
        return
    what, hint = unreadable(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if len(unreadable_files) == len(files):
        raise UsageError(f"{label}: {what}", hint=hint)
    warn(f"{label}: {len(unreadable_files):,} of {len(files):,} files {what}. {hint}")


def _check_file(path: Path, mode: int, label: str, kind: InputKind) -> None:
    # Commands seek in files and read them again, so only `validate` can read a pipe.
    if not stat.S_ISREG(mode) and not (kind == "streams" and stat.S_ISFIFO(mode)):
        hint = "Write its data to a file, and name that"
        if kind == "streams":
            hint += "; for the standard input, use -"
        raise UsageError(f"{label}: a device or pipe, not a file of records", hint=hint)
    if kind == "streams":
        return  # `validate` checks every line, and goes on with the other files
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError as error:
        what, hint = unreadable(error)
        raise UsageError(f"{label}: {what}", hint=hint) from None
    if problem_with(path) or _other_format(beginning):
        what, hint = not_records(beginning)
        raise UsageError(f"{label}: {what}", hint=hint)


def unreadable(error: OSError | ValueError) -> tuple[str, str]:
    """Return the message that something cannot be read, and the hint."""
    reason = getattr(error, "strerror", None) or str(error)
    hint = "Name another"
    if isinstance(error, PermissionError):
        hint = "Run this as the user that wrote the records"
    return f"cannot be read: {reason}", hint


def not_records(beginning: bytes) -> tuple[str, str]:
    """Return the message that a file does not contain records, and a hint by its first bytes."""
    return "not a file of records", _other_format(beginning) or _FORMAT


def _other_format(beginning: bytes) -> str:
    """Return the hint for a file of a known other format; empty if it is unknown."""
    hints = (hint for magic, hint in _OTHER_FORMATS if beginning.startswith(magic))
    return next(hints, "")


def has_record(path: Path) -> bool:
    """Whether a file has a record, anywhere in it; it may have other lines."""
    with suppress(OSError), path.open("rb") as file:
        # What is longer than a record is read in pieces.
        return any(map(_is_record, iter(partial(file.readline, MAX_LINE_BYTES), b"")))
    return False


def _is_record(line: bytes) -> bool:
    if _META not in line:
        return False
    try:
        decode_line(line)
    except RecordError:
        return False
    return True


def is_there(path: Path) -> bool:
    """Whether `path` exists, as far as this user may know."""
    try:
        path.stat()
    except PermissionError:
        return True  # a later check reports that it cannot be read
    except (OSError, ValueError):
        return False
    return True
