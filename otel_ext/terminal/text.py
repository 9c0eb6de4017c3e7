"""Makes text safe to print on a terminal, measures it in columns, and fits it into them."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LONGEST", "cells", "cut", "cut_left", "printable", "printable_path", "wrapped"]

LONGEST: Final = 4_096
"""The most characters of a text that is shown whole, such as a path or a message."""

_MAX_NAME: Final = 120
_SPACES: Final = frozenset("\u00a0\u2002\u2003\u2009\u202f\u3000")
_WIDE: Final = frozenset("WF")


def printable(text: str, limit: int = _MAX_NAME) -> str:
    r"""Return `text` with everything that a terminal would obey made visible.

    Control characters, escape sequences, direction marks and lone surrogates
    are written as escapes (CWE-150); spaces of any kind become plain ones.

    Args:
        text: Any text.
        limit: The most characters to keep.

    >>> printable("ok\x1b[2J\u202e")
    'ok\\x1b[2J\\u202e'
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char in _SPACES else ascii(char)[1:-1]
        for char in text
    )


def printable_path(path: str | Path) -> str:
    """Return a path as text that is safe to print."""
    return printable(str(path), LONGEST)


def cells(text: str) -> int:
    """Return how many columns `text` takes on a terminal.

    >>> cells("abc"), cells("日本")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def cut(text: str, width: int) -> str:
    """Return `text` cut to `width` columns, with an ellipsis if something is missing.

    >>> cut("abcdef", 4), cut("abc", 4)
    ('abc…', 'abc')
    """
    if cells(text) <= width:
        return text
    kept = 0
    for number, char in enumerate(text):
        kept += _cells_of(char)
        if kept > width - 1:
            return text[:number] + "…" if width > 0 else ""
    return text


def cut_left(text: str, width: int) -> str:
    """Return the end of `text` in `width` columns, with an ellipsis if something is missing.

    >>> cut_left("/usr/lib/decoder.py:7 decode", 20)
    '…decoder.py:7 decode'
    """
    return cut(text[::-1], width)[::-1]


def wrapped(text: str, width: int) -> list[str]:
    """Return `text`, safe to print, in lines of at most `width` columns, broken between words.

    Without a width (0) it is one line; with less than 20 the lines are longer.

    >>> wrapped("Raise ring-size before records are dropped", 30)
    ['Raise ring-size before records', 'are dropped']
    """
    room = max(width, 20) if width else LONGEST
    return textwrap.wrap(
        printable(text, LONGEST), room, break_long_words=False, break_on_hyphens=False
    )
