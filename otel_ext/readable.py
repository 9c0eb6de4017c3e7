"""Formats durations, ages, times, sizes and numbers as people read them; every view uses these."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ago", "as_utf8", "count_of", "duration", "listed", "local_time", "size"]

_SECOND: Final = 1_000_000_000


def duration(nanoseconds: int) -> str:
    """Format a duration.

    >>> duration(420_000), duration(12_345_678), duration(1_240_000_000), duration(125 * 10**9)
    ('0.42 ms', '12.3 ms', '1.24 s', '2 min 05 s')
    >>> duration(59_990_000_000), duration(7_380 * 10**9), duration(356_400 * 10**9)
    ('1 min 00 s', '2 h 03 min', '4 d 03 h')
    """
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < 999_500_000:  # noqa: PLR2004 - the rest would be rounded to 1000 ms
        return f"{_three_digits(nanoseconds / 1e6)} ms"
    seconds = nanoseconds / 1e9
    if seconds < 59.95:  # noqa: PLR2004 - the rest would be rounded to 60.0 s
        return f"{_three_digits(seconds)} s"
    minutes, rest = divmod(int(max(seconds, 60)), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def _three_digits(number: float) -> str:
    texts = (f"{number:.{places}f}" for places in (2, 1, 0))
    return next(text for text in texts if len(text) <= len("9.99"))


def ago(time_ns: int, now_ns: int) -> str:
    """Format how long before `now_ns` a time was; a time after it counts as now.

    >>> ago(10**9, 90 * 10**9), ago(2, 1)
    ('1 min 29 s ago', '0.00 ms ago')
    """
    return f"{duration(max(now_ns - time_ns, 0))} ago"


def local_time(time_ns: int, *, date: bool = False) -> str:
    """Format a local time of day; dashes for a time outside the calendar.

    Args:
        time_ns: Nanoseconds since the epoch.
        date: Whether to add the date and the offset from UTC.
    """
    seconds, rest = divmod(time_ns, _SECOND)
    clock = f"%H:%M:%S.{rest // 1_000_000:03d}"
    try:
        return time.strftime(f"%Y-%m-%d {clock} %z" if date else clock, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "-" if date else "--:--:--.---"


def size(size_bytes: int) -> str:
    """Format a number of bytes.

    >>> size(532), size(5 * 2**20), size(3 * 2**30)
    ('532 bytes', '5.0 MiB', '3.0 GiB')
    """
    if size_bytes < 1024:  # noqa: PLR2004
        return f"{size_bytes} bytes"
    power = min((size_bytes.bit_length() - 1) // 10, 4)
    return f"{size_bytes / 1024**power:.1f} {' KMGT'[power]}iB"


def count_of(number: int, noun: str) -> str:
    """Format a number of things, whose plural ends in `s`.

    >>> count_of(1, "file"), count_of(2_000, "span")
    ('1 file', '2,000 spans')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Join the first names with commas, and add the number of the others.

    >>> listed(["flask", "redis"], 2), listed(["flask", "redis", "grpc"], 2)
    ('flask, redis', 'flask, redis and 1 more')
    """
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left:,} more" if left > 0 else "")


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
