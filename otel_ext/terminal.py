"""Formats text for a terminal: safe to print, short enough, with times, errors and colors."""

from __future__ import annotations

import time
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = [
    "Painter",
    "as_utf8",
    "cells",
    "cut",
    "date_and_time",
    "duration",
    "error_of",
    "printable",
    "time_of_day",
]

_MAX_NAME: Final = 120
_SPACES: Final = frozenset("\u00a0\u2002\u2003\u2009\u202f\u3000")
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
    """Format a duration for people; every view uses this format.

    >>> duration(420_000), duration(12_345_678), duration(1_240_000_000), duration(125 * 10**9)
    ('0.42 ms', '12.3 ms', '1.24 s', '2 min 05 s')
    >>> duration(7_380 * 10**9), duration(356_400 * 10**9)
    ('2 h 03 min', '4 d 03 h')
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
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def time_of_day(time_ns: int) -> str:
    """Format the local time of day; every view uses this format.

    Args:
        time_ns: Nanoseconds since the epoch.
    """
    return _local(time_ns, "%H:%M:%S", "--:--:--.---")


def date_and_time(time_ns: int) -> str:
    """Format local date and time, with the offset from UTC.

    Args:
        time_ns: Nanoseconds since the epoch.
    """
    return _local(time_ns, "%Y-%m-%d %H:%M:%S", "-", " %z")


def _local(time_ns: int, form: str, unknown: str, zone: str = "") -> str:
    seconds, rest = divmod(time_ns, _SECOND)
    try:
        return time.strftime(f"{form}.{rest // 1_000_000:03d}{zone}", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return unknown


def error_of(record: Record) -> str:
    """Return the error of a span as it was recorded: not yet safe to print.

    That is the last exception, else the status's description, else an empty string.
    """
    for event in reversed(record.events):
        if event.name == "exception":
            kind = str(event.attributes.get("exception.type", "")).rpartition(".")[2]
            message = str(event.attributes.get("exception.message", ""))
            return f"{kind}: {message}" if kind and message else kind or message
    return record.status.description or "" if record.status is not None else ""


class Painter:
    r"""Colors text, or returns it unchanged if disabled.

    >>> Painter(enabled=True)("red", "no"), Painter(enabled=False)("red", "no")
    ('\x1b[31mno\x1b[0m', 'no')
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, style: str, text: str) -> str:
        """Return `text` in `style`: the name of a color, or `bold` or `dim`."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.enabled and text else text


def as_utf8(text: str) -> str:
    r"""Return text that can be written as UTF-8, for JSON.

    In an ASCII locale, and for a file name that is not UTF-8, Python decodes bytes to surrogates.

    >>> as_utf8("caf\udcc3\udca9"), as_utf8("caf\udce9") == "caf\N{REPLACEMENT CHARACTER}"
    ('café', True)
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:  # surrogates that do not come from a file name
        return text.encode("utf-8", "replace").decode()
