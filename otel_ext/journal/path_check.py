"""Checks a path for records: a folder, or a file that is empty or holds records."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, cast

from otel_ext.errors import ConfigError

__all__ = ["absolute_path", "problem_with"]

_HINT: Final = "Name a folder, or a file whose name ends in .jsonl."
# Every record begins with a key, without white space before it.
_RECORD_START: Final = b'{"'


def problem_with(path: Path) -> str:
    """Return why `path` may not be used for records, judged by what exists there.

    A device, a pipe or a socket is refused, and a file with other content: a mistyped
    name must not append records to the source of a program. A file named `.jsonl` is
    accepted, even when it is damaged.

    Returns:
        A sentence and a hint; empty if records may be written there.

    >>> from pathlib import Path
    >>> problem_with(Path("/dev/null"))[:52]
    "'/dev/null' is neither a folder nor a regular file. "
    >>> problem_with(Path("/no/such/folder"))
    ''
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - on the user's path, kept light
        if stat.S_ISDIR(mode):
            return ""
        if not stat.S_ISREG(mode):
            return f"{str(path)!r} is neither a folder nor a regular file. {_HINT}"
        if path.suffix == ".jsonl":
            return ""
        with path.open("rb") as file:
            first_bytes = file.read(len(_RECORD_START))
    except (OSError, ValueError):
        return ""  # missing, or out of reach: opening it reports that
    if first_bytes in {b"", _RECORD_START}:
        return ""
    return f"{str(path)!r} holds something other than records. {_HINT}"


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """Return `path` as an absolute path, since the program may change its directory.

    Raises:
        ConfigError: It is not a path, or relative to a working directory that is gone.

    >>> absolute_path("/srv/shop/../traces").as_posix()
    '/srv/traces'
    """
    value = cast("object", path)
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigError(f"the path {value!r} is not a path", hint="Give a folder or a file name.")
    text = cast("object", os.fspath(path))
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigError(f"the path {text!r} cannot be used", hint="Give a folder or a file name.")
    try:
        return Path(os.path.abspath(text))  # noqa: PTH100 - Path.absolute keeps `..`
    except OSError:
        raise ConfigError(
            f"the path {text!r} is relative to a working directory that is gone",
            hint="Give an absolute path.",
        ) from None
