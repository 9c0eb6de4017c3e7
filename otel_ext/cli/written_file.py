"""Writes the file that a command's option `--output` names."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from otel_ext.errors import UsageError
from otel_ext.journal.files import is_folder
from otel_ext.journal.names import list_rings, list_segments
from otel_ext.runtime.whole_file import whole_file
from otel_ext.terminal.text import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_stdout", "require_output_beside", "write_whole"]

_READABLE: Final = 0o666
# The descriptor's own names too: what was written before it must not be replaced.
_STDOUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_ANOTHER: Final = "Name another file with --output, or - for the standard output"


def is_stdout(name: str) -> bool:
    """Return whether an output is the standard output."""
    return name in _STDOUT


def write_whole(name: str, pieces: Iterable[bytes]) -> int:
    """Write a file as a whole or not at all; return its size in bytes.

    Args:
        name: The file, of which an older one is replaced; a device or pipe, which is written
            into; or `-` for the standard output.
        pieces: Its content.

    Raises:
        UsageError: It cannot be written.
    """
    if is_stdout(name):
        out = cast("IO[bytes]", sys.stdout.buffer)
        written = sum(map(out.write, pieces))
        out.flush()
        return written
    _require_name(name)
    path = Path(name)
    try:
        with whole_file(path, _mode_of(path)) as file:
            return sum(map(file.write, pieces))
    except OSError as error:
        raise UsageError(
            f"{printable_path(path)} cannot be written: {error.strerror}", hint=_ANOTHER
        ) from error


def require_output_beside(name: str, inputs: Iterable[Path]) -> None:
    """Raise an error if writing an output would replace records that are read.

    Args:
        name: The output, as the option names it.
        inputs: The files and folders that the command reads.

    Raises:
        UsageError: It is an input, or a file of records in a folder that is one; or it is a
            folder.
    """
    if is_stdout(name):
        return
    _require_name(name)
    target = Path(os.path.realpath(name))
    identity = _identity_of(target)
    for path in inputs:
        inside = [*list_segments(path), *list_rings(path)] if is_folder(path) else [path]
        is_new_segment = target.suffix == ".jsonl" and target.parent == Path(os.path.realpath(path))
        if is_new_segment or (identity and identity in map(_identity_of, inside)):
            raise UsageError(
                f"--output {printable_path(name)} is among the records that are read"
                f" from {printable_path(path)}",
                hint=_ANOTHER,
            )


def _require_name(name: str) -> None:
    if not name:
        raise UsageError("the name of the output is empty", hint=_ANOTHER)
    if is_folder(Path(name)):
        raise UsageError(
            f"--output {printable_path(name)} is a folder", hint="Name a file in it with --output"
        )


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, also by another name; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _mode_of(path: Path) -> int:
    """Return the permissions of a file to write: those of an older one, else the usual ones."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        # As other programs make files; this process has no other threads.
        mask = os.umask(0)
        os.umask(mask)
        return _READABLE & ~mask
