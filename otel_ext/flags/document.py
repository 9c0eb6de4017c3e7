"""Reads and writes flag files, with errors that name the line and column.

A flag file is a JSON document in flagd's format (https://flagd.dev/schema/v0/flags.json). What
this package does not know in it stays as it is.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from otel_ext.errors import ConfigError
from otel_ext.runtime.whole_file import whole_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "MAX_FILE_BYTES",
    "Document",
    "FileContent",
    "FileState",
    "flags_of",
    "parse",
    "read_file",
    "state_of",
    "write_file",
]

Document: TypeAlias = "dict[str, object]"
"""A flag file, or one flag in it, as JSON objects."""

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_STATES: Final = ("ENABLED", "DISABLED")
_CREATED_MODE: Final = 0o644


class FileState(NamedTuple):
    """What tells that a file has changed.

    Attributes:
        mtime_ns: When it was written, in nanoseconds since the epoch.
        size: Its size in bytes.
        inode: Its number in the file system; another one after a rename.
        device: The number of its file system.
    """

    mtime_ns: int
    size: int
    inode: int
    device: int


class FileContent(NamedTuple):
    """A file as it was read.

    Attributes:
        data: Its bytes.
        state: How it was before and after; None if it has changed meanwhile.
        mode: Its permissions.
    """

    data: bytes
    state: FileState | None
    mode: int


def state_of(status: os.stat_result) -> FileState:
    """Return what tells that a file has changed, from the result of `os.stat`."""
    return FileState(status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)


def read_file(path: Path) -> FileContent:
    """Read a flag file of at most 4 MiB; never waits for a pipe or a device.

    Raises:
        ConfigError: It is missing, not a file, too large, or cannot be read.
    """
    try:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise ConfigError(f"{path} is not a file", hint="Name a flag file")
            data = file.read(MAX_FILE_BYTES + 1)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        hint = "Name an existing flag file"
        raise ConfigError(f"{path} does not exist", hint=hint) from None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Make it readable, or name another file"
        raise ConfigError(f"{path} cannot be read: {reason}", hint=hint) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is too large for flags", hint="Use at most 4 MiB")
    state = state_of(after)
    is_whole = state == state_of(before) and len(data) == state.size
    return FileContent(data, state if is_whole else None, stat.S_IMODE(after.st_mode))


def parse(path: Path, data: bytes) -> Document:
    """Return the document in the bytes of a flag file, whose shape is checked.

    Raises:
        ConfigError: It is not JSON, or not a document of flags; with the line and column, or
            the flag.

    >>> from pathlib import Path
    >>> parse(Path("flags.json"), b'{"flags": {}')
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: flags.json, line 1, column 13: Expecting ',' delimiter...
    """
    try:
        found: object = json.loads(
            data.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse
        )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise _wrong(path, f"line {line}, column {column}: not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _wrong(path, f"{where}: {error.msg}") from None
    except RecursionError:
        raise _wrong(path, "it is nested too deeply") from None
    except ValueError as error:
        raise _wrong(path, str(error)) from None
    if not isinstance(found, dict):
        raise _wrong(path, "it is not a JSON object")
    document = cast("Document", found)
    for name, flag in _object(path, document, "flags").items():
        _check_flag(path, name, flag)
    _check_metadata(path, "", document)
    _object(path, document, "$evaluators")
    return document


def flags_of(document: Document) -> dict[str, Document]:
    """Return the flags of a parsed document by their names; changes there change it.

    >>> flags_of({"flags": {"new-search": {"state": "DISABLED"}}})
    {'new-search': {'state': 'DISABLED'}}
    """
    return cast("dict[str, Document]", document.setdefault("flags", {}))


def write_file(path: Path, document: Document, read: FileContent | None) -> None:
    """Replace a flag file as a whole by a document.

    Args:
        path: The file.
        document: Its new content.
        read: The file as it was read; None if there was none.

    Raises:
        ConfigError: Another program has changed the file since it was read, or it cannot be
            written.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can have as an escape
        data = json.dumps(document, indent=2).encode("ascii") + b"\n"
    mode = _CREATED_MODE if read is None else read.mode
    try:
        with whole_file(path, mode) as file:
            file.write(data)
            _check_unchanged(path, read)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        hint = "Make its folder writable"
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be written: {reason}", hint=hint) from None


def _check_unchanged(path: Path, read: FileContent | None) -> None:
    """Raise if a program that takes no lock, such as an editor, has changed the file."""
    if path.exists() if read is None else read_file(path).data != read.data:
        hint = "Run the command again"
        raise ConfigError(f"{path} was changed by another program meanwhile", hint=hint)


def _wrong(path: Path, what: str) -> ConfigError:
    # A line number follows the path as in the messages of compilers.
    separator = ", " if what.startswith("line ") else ": "
    return ConfigError(f"{path}{separator}{what}", hint="A flag file is JSON in flagd's format")


def _without_repeats(pairs: list[tuple[str, object]]) -> Document:
    """Make an object; a name that comes twice would be lost when the file is written."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {repeated!r} comes twice in one object")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _object(path: Path, owner: Document, key: str, where: str = "") -> Document:
    """Return a JSON object in a document, empty if it is absent."""
    found = owner.get(key, {})
    if not isinstance(found, dict):
        raise _wrong(path, f"{where}{key!r} is not an object")
    return cast("Document", found)


def _check_flag(path: Path, name: str, flag: object) -> None:
    if not isinstance(flag, dict):
        raise _wrong(path, f"the flag {name!r} is not an object")
    fields, where = cast("Document", flag), f"the flag {name!r}: "
    if fields.get("state") not in _STATES:
        raise _wrong(path, f"{where}'state' is not one of {', '.join(_STATES)}")
    variants = _object(path, fields, "variants", where)
    if not variants:
        raise _wrong(path, f"{where}it has no 'variants'")
    default = fields.get("defaultVariant")
    if isinstance(default, bool):
        default = str(default).lower()
    if default and not (isinstance(default, str) and default in variants):
        raise _wrong(path, f"{where}'defaultVariant' {default!r} is not one of its variants")
    if fields.get("targeting") is not None:
        _object(path, fields, "targeting", where)
    _check_metadata(path, where, fields)


def _check_metadata(path: Path, where: str, owner: Document) -> None:
    for key, value in _object(path, owner, "metadata", where).items():
        if not key or not isinstance(value, str | bool | int | float):
            message = f"{where}the metadata {key!r} is not a text, number, true or false"
            raise _wrong(path, message)
