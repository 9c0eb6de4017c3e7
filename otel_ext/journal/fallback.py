"""Checks whether a path can take records, and offers a folder that can."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from otel_ext.errors import JournalError
from otel_ext.journal.files import can_make_files_in, open_folder
from otel_ext.journal.path_check import problem_with

__all__ = ["fallback_folder", "problem_with_output"]

# These may be over by the time of the first record.
_TRANSIENT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EINTR})
_APPEND: Final = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)


def problem_with_output(path: Path, *, trial: bool = False) -> str:
    """Return why a folder or file cannot take records.

    Args:
        path: Where records are to go; missing folders of it would be made.
        trial: Create a folder there and remove it, since rights are not enough to know
            (/proc is an example). Programs that watch the folder see that.

    Returns:
        The reason, as part of a sentence; empty if it can.

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

    It has a fixed name, so that all programs of one user share it. If another user has
    taken the name, also by a link, it is not used.
    """
    import tempfile  # noqa: PLC0415 - slow, and rarely needed

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
        pass  # the folders above it decide
    except OSError as error:
        return f"the name cannot be used: {error.strerror}"
    # lexists: where a link leads nowhere, no folder of that name can be made either.
    nearest = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if nearest.is_dir():
        if trial:
            return _problem_in(nearest)
        why = "cannot be written to by this user, or is on a read-only disk"
        return "" if can_make_files_in(nearest) else f"{nearest} {why}"
    if nearest != path or not path.is_file():
        return f"{nearest} is not a folder"
    if problem_with(path):
        return f"{path} holds something other than records"
    return _problem_appending(path)  # several processes may append to one file


def _problem_in(folder: Path) -> str:
    """Return why no folder can be made in `folder`, after trying it."""
    trial = folder / f".otel-ext-{os.getpid()}"
    try:
        trial.mkdir(0o700)
        trial.rmdir()
    except FileExistsError:
        pass  # left by a process that was killed here
    except OSError as error:
        if error.errno not in _TRANSIENT:
            return f"{folder} cannot be written to: {error.strerror}"
    return ""


def _problem_appending(path: Path) -> str:
    try:
        os.close(os.open(path, _APPEND))
    except OSError as error:
        what = "it is a link" if error.errno == errno.ELOOP else error.strerror
        return "" if error.errno in _TRANSIENT else f"{path} cannot be written to: {what}"
    return ""
