"""The standard output and error of the command itself, when the caller has closed them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

__all__ = ["drop_full_streams", "fill_closed_streams", "flush_streams", "print_error"]

_OUTPUTS: Final = (("stdout", 1), ("stderr", 2))


def fill_closed_streams() -> None:
    """Put a stream that leads nowhere in the place of a standard one that is closed.

    Daemons and schedulers start programs like that, and Python's streams are None
    then. Nothing is inherited: a program that we start finds closed what is closed.
    """
    for name, number in _OUTPUTS:
        if getattr(sys, name) is None:
            setattr(sys, name, _open_devnull(number))


def _open_devnull(number: int) -> TextIO:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    # Under its own number, so that no file of records gets that.
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


def print_error(text: str) -> None:
    """Write one line to the standard error; that nobody can read it is no reason to stop."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"otel-ext: {text}\n")


def drop_full_streams() -> None:
    """Let go of a stream that takes no more: for what is left the exit code would be 120."""
    for name, _ in _OUTPUTS:
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError):
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest
            setattr(sys, name, nowhere)


def flush_streams() -> None:
    """Bring out what was said so far, as far as that is possible."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
