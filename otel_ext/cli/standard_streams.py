"""Replaces a standard output or error of the command that is closed or full."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

__all__ = ["drop_full_streams", "fill_closed_streams", "flush_streams"]

_OUTPUTS: Final = (("stdout", 1), ("stderr", 2))


def fill_closed_streams() -> None:
    """Replace a closed standard output or error by a stream to /dev/null.

    Daemons and schedulers start programs with closed streams; in Python they are None
    then. Child processes do not inherit the replacement: their streams stay closed.
    """
    for name, number in _OUTPUTS:
        if getattr(sys, name) is None:
            setattr(sys, name, _open_devnull(number))


def _open_devnull(number: int) -> TextIO:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    # With the standard descriptor number, so that no file of records gets it.
    if descriptor != number and not _is_open(number):
        os.dup2(descriptor, number, inheritable=False)
        os.close(descriptor)
        descriptor = number
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def drop_full_streams() -> None:
    """Replace a stream that cannot be flushed, so that the exit code does not become 120."""
    for name, _ in _OUTPUTS:
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError):
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open until the end
            setattr(sys, name, nowhere)


def flush_streams() -> None:
    """Flush the standard output and error; errors are ignored."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
