"""`Terminal`: the terminal that a program was started in, while it is visible.

Standard error belongs to the program and may be redirected at any time: pytest captures
its descriptor, a daemon redirects it. Lines for people go only to the original terminal,
and not while a program draws on it: such a program switches the terminal's line editing
off (`ICANON`).
"""

from __future__ import annotations

import os
import sys
from typing import Final, TypeAlias

from otel_ext.terminal.canvas import is_terminal

__all__ = ["Terminal", "identity_of"]

_STANDARD_ERROR: Final = 2
_Identity: TypeAlias = "tuple[int, int, int]"


def identity_of(status: os.stat_result) -> _Identity:
    """Return what identifies an open file: device, inode, and the device it represents."""
    return status.st_dev, status.st_ino, status.st_rdev


class Terminal:
    """The terminal that a descriptor refers to when this object is created.

    Raises:
        OSError: The descriptor is closed.

    >>> _, writer = os.pipe()
    >>> terminal = Terminal(writer)
    >>> there = terminal.is_there()
    >>> os.close(writer)
    >>> there, terminal.is_there()
    (True, False)
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.encoding: str = getattr(sys.__stderr__, "encoding", None) or "utf-8"
        self._identity = identity_of(os.fstat(descriptor))

    @classmethod
    def of_standard_error(cls) -> Terminal | None:
        """Return the terminal of standard error; None if standard error is not a terminal."""
        try:
            seen = is_terminal(sys.stderr) and os.isatty(_STANDARD_ERROR)
            return cls(_STANDARD_ERROR) if seen else None
        except Exception:  # noqa: BLE001 - the stream may be any object, closed, or None
            return None

    def is_there(self) -> bool:
        """Return whether the descriptor still refers to it, and no program draws on it."""
        try:
            is_same = identity_of(os.fstat(self.descriptor)) == self._identity
        except OSError:
            return False
        return is_same and not self._is_drawn_on()

    def _is_drawn_on(self) -> bool:
        try:
            from termios import ICANON, tcgetattr  # noqa: PLC0415 - not on every platform

            return not tcgetattr(self.descriptor)[3] & ICANON
        except Exception:  # noqa: BLE001 - termios.error, not an OSError: not a terminal
            return False

    def fileno(self) -> int:
        """Return the program's descriptor, for queries of the terminal."""
        return self.descriptor

    def isatty(self) -> bool:
        """Return True, as the stream of a terminal does."""
        return True
