"""Whether the place for records can take any: tried before a program is started."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.journal.place import problem_with

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.config import Config

__all__ = ["check_output"]

# There may be room again by the time of the first record.
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EINTR})
_APPEND: Final = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)


def check_output(config: Config) -> None:
    """Refuse a folder or file that cannot take records.

    Raises:
        ConfigError: It cannot; the message names the place, the setting and the way out.
    """
    folder = config.output.folder
    problem = _problem_of(folder.absolute())
    if problem:
        message = f"output: {folder} ({config.source_of('output')}): {problem}"
        raise ConfigError(message, hint="Name another by --output")


def _problem_of(path: Path) -> str:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # what is above it tells
    except OSError as error:
        return f"the name cannot be used: {error.strerror}"
    there = next(place for place in (path, *path.parents) if _is_there(place))
    if there.is_dir():
        return _problem_in(there)
    if there != path or not path.is_file():
        return f"{there} is no folder"
    if problem_with(path):
        return f"{path} holds something other than records"
    return _problem_appending(path)  # several processes may append to one file


def _problem_in(folder: Path) -> str:
    """Try to make something in a folder: rights alone do not tell of a read-only disk or /proc."""
    trial = folder / f".otel-ext-{os.getpid()}"
    try:
        trial.mkdir(0o700)
        trial.rmdir()
    except FileExistsError:
        return ""  # of one that was killed amid this
    except OSError as error:
        return "" if error.errno in _PASSING else f"{folder} cannot be written to: {error.strerror}"
    return ""


def _problem_appending(path: Path) -> str:
    try:
        os.close(os.open(path, _APPEND))
    except OSError as error:
        what = "it is a link" if error.errno == errno.ELOOP else error.strerror
        return "" if error.errno in _PASSING else f"{path} cannot be written to: {what}"
    return ""


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
