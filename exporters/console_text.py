"""Text that is safe and short enough for a terminal: names, values, durations, colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, cast

from otel_ext.record.values import encode_value

__all__ = ["Painter", "cells", "cut", "duration", "in_short", "printable"]

_MAX_VALUE: Final = 48
_MAX_NAME: Final = 120
_MAX_TEXT: Final = 4_096
_SPACES: Final = frozenset("\u00a0\u2002\u2003\u2009\u202f\u3000")
_PLAIN: Final = frozenset("-._:/@+%,")
_STYLES: Final = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_WIDE: Final = frozenset("WF")
_SECOND: Final = 1_000_000_000


def printable(text: str, limit: int = _MAX_NAME) -> str:
    r"""Return `text` so that a terminal shows it and obeys nothing in it.

    Control characters, escape sequences, direction marks and lone surrogates
    are written as escapes (CWE-150); spaces of any kind become plain ones.

    Args:
        text: Anything.
        limit: Characters to keep.

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


def duration(nanoseconds: int) -> str:
    """Return a duration as people say it.

    >>> duration(420_000), duration(12_345_678), duration(1_240_000_000), duration(125 * 10**9)
    ('0.42 ms', '12.3 ms', '1.24 s', '2 min 05 s')
    """
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < _SECOND:
        milliseconds = nanoseconds / 1e6
        return f"{milliseconds:.{2 if milliseconds < 10 else 1 if milliseconds < 100 else 0}f} ms"  # noqa: PLR2004
    seconds = nanoseconds / 1e9
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.{2 if seconds < 10 else 1}f} s"  # noqa: PLR2004
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def in_short(attributes: Mapping[str, object], width: int) -> str:
    """Return attributes as `key=value`, as many as `width` columns have room for.

    >>> in_short({"user": "ann", "note": "two words", "sizes": (1, 2)}, 40)
    'user=ann note="two words" sizes=[1,2]'
    >>> in_short({"user": "ann", "note": "two words"}, 12)
    'user=ann …'
    """
    parts: list[str] = []
    room = width
    for key, value in attributes.items():
        part = f"{printable(key, _MAX_VALUE)}={_value(value)}"
        if cells(part) + 2 > room:
            return " ".join([*parts, "…"])[: max(width, 0)]
        room -= cells(part) + 1
        parts.append(part)
    return " ".join(parts)


def _value(value: object) -> str:
    given: object = value
    if isinstance(value, str):
        # Statements and the like come over several lines; here they have one.
        given = text = " ".join(str.__str__(value)[:_MAX_TEXT].split())
        if text and (text.isalnum() or all(c.isalnum() or c in _PLAIN for c in text[:_MAX_VALUE])):
            return printable(text, _MAX_VALUE)
    elif isinstance(value, (Sequence, Mapping)):
        items = cast("Sequence[object]", value)
        if len(items) > _MAX_VALUE:
            return f"[{len(items)} items]"
    return printable(encode_value(given).decode(), _MAX_VALUE)


class Painter:
    r"""Puts colour on text, or leaves it alone.

    >>> Painter(enabled=True)("red", "no"), Painter(enabled=False)("red", "no")
    ('\x1b[31mno\x1b[0m', 'no')
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, style: str, text: str) -> str:
        """Return `text` in `style`, which is one name of a colour or of a weight."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.enabled and text else text
