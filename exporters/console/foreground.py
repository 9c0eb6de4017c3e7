"""`Terminal`: the terminal that a program was started in, while it is to be seen.

Standard error is the program's, and may lead elsewhere at any time: pytest captures it
by its descriptor, a daemon redirects it. What was meant for a person goes to the
terminal that was there, and nowhere else, and not into the screen of a program that
draws one: such a program switches the terminal's line editing off (`ICANON`).
"""

from __future__ import annotations

import os
import sys
from typing import Final, TypeAlias

__all__ = ["Terminal", "identity_of"]

_STANDARD_ERROR: Final = 2
_Identity: TypeAlias = "tuple[int, int, int]"


def identity_of(status: os.stat_result) -> _Identity:
    """Return what tells one open file from another: device, inode, and which device it is."""
    return status.st_dev, status.st_ino, status.st_rdev


class Terminal:
    """The terminal behind a descriptor, as it is when this is made.

    Args:
        descriptor: The program's.

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
        """Return the terminal behind standard error; None where no person sees that."""
        try:
            seen = sys.stderr.isatty() and os.isatty(_STANDARD_ERROR)
            return cls(_STANDARD_ERROR) if seen else None
        except Exception:  # noqa: BLE001 - replaced by an object of any kind, closed, or None
            return None

    def is_there(self) -> bool:
        """Return whether the descriptor leads to this terminal now, and no program draws there."""
        try:
            there = identity_of(os.fstat(self.descriptor)) == self._identity
        except OSError:
            return False
        return there and not self._is_drawn_on()

    def _is_drawn_on(self) -> bool:
        try:
            from termios import ICANON, tcgetattr  # noqa: PLC0415 - not on every platform

            return not tcgetattr(self.descriptor)[3] & ICANON
        except Exception:  # noqa: BLE001 - termios.error, which is no OSError: no terminal
            return False

    def fileno(self) -> int:
        """Return the program's descriptor, for questions about the terminal."""
        return self.descriptor

    def isatty(self) -> bool:
        """Return True, as the stream of a terminal does."""
        return True
