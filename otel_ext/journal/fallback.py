"""Whether the place for records can take any, and which other one does where it cannot."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from otel_ext.errors import JournalError
from otel_ext.journal.files import open_folder
from otel_ext.journal.path_check import problem_with

__all__ = ["fallback_folder", "problem_with_output"]

# There may be room again by the time of the first record.
_TRANSIENT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EINTR})
_APPEND: Final = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)


def problem_with_output(path: Path, *, trial: bool = False) -> str:
    """Return why a folder or file cannot take records.

    Args:
        path: Where records are to go; what is missing of it would be made.
        trial: Whether to make something there and remove it, since rights do not tell
            all, /proc for one. Whatever watches the folder sees that.

    Returns:
        Half a sentence; empty if it can.

    >>> problem_with_output(Path("/proc/records"), trial=True)
    '/proc cannot be written to: No such file or directory'
    """
    try:
        return _problem_of(path.absolute(), trial=trial)
    except FileNotFoundError:
        return "the working directory has been removed"
    except (OSError, ValueError) as error:
        return f"it cannot be used: {error}"


def fallback_folder() -> Path | None:
    """Return a private folder for records below the temporary directory, or None.

    It has a fixed name, so that all programs of one user share it. What another
    user has put there in its place, a link included, is not used.
    """
    try:
        above = Path(tempfile.gettempdir()).absolute()
        own = above / f"otel-ext-{os.geteuid() if hasattr(os, 'geteuid') else 'records'}"
        try:
            os.close(open_folder(own, create=True))
        except (JournalError, FileNotFoundError):
            own = Path(tempfile.mkdtemp(prefix="otel-ext-", dir=above))
    except OSError:
        return None
    return None if problem_with_output(own, trial=True) else own


def _problem_of(path: Path, *, trial: bool) -> str:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # what is above it tells
    except OSError as error:
        return f"the name cannot be used: {error.strerror}"
    # A link that leads nowhere is there too: no folder can be made in its place.
    nearest = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if nearest.is_dir():
        return _problem_in(nearest) if trial else _problem_by_rights(nearest)
    if nearest != path or not path.is_file():
        return f"{nearest} is no folder"
    if problem_with(path):
        return f"{path} holds something other than records"
    return _problem_appending(path)  # several processes may append to one file


def _problem_by_rights(folder: Path) -> str:
    effective = os.access in os.supports_effective_ids
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return ""
    return f"{folder} cannot be written to by this user, or is on a read-only disk"


def _problem_in(folder: Path) -> str:
    """Try to make something in a folder."""
    trial = folder / f".otel-ext-{os.getpid()}"
    try:
        trial.mkdir(0o700)
        trial.rmdir()
    except FileExistsError:
        return ""  # of one that was killed amid this
    except OSError as error:
        return (
            "" if error.errno in _TRANSIENT else f"{folder} cannot be written to: {error.strerror}"
        )
    return ""


def _problem_appending(path: Path) -> str:
    try:
        os.close(os.open(path, _APPEND))
    except OSError as error:
        what = "it is a link" if error.errno == errno.ELOOP else error.strerror
        return "" if error.errno in _TRANSIENT else f"{path} cannot be written to: {what}"
    return ""
