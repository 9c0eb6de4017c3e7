"""Parses and formats sizes and durations with units: `8 MiB`, `500ms`, `7d`.

Both directions are exact: a parser returns the value that its formatter was called with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DAY",
    "GIB",
    "HOUR",
    "KIB",
    "MIB",
    "MINUTE",
    "YEAR",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_size",
]

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
YEAR: Final = 365 * DAY

_SIZE_FACTORS: Final = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": 1024**4,
}
_SIZE_UNITS: Final = (("TiB", 1024**4), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))
# In milliseconds, so that only one division rounds, at the end.
_DURATION_FACTORS: Final = {
    "": 1000,
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_DURATION_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
# The number of digits is limited, so that a hostile value costs no time; 400 are enough
# for every float. Compiled by the cache of `re` on first use.
_NUMBER: Final = r"([0-9]{1,20})(?:\.([0-9]{1,400}))? *([A-Za-z]{0,3})"


def parse_size(text: str) -> int:
    """Parse a size, and return it in bytes.

    Args:
        text: A number, then B, KiB, MiB, GiB, TiB (powers of 1024) or kB, MB, GB, TB
            (powers of 1000); no unit means bytes. Case and a space do not matter.

    Returns:
        Bytes, 0 or more.

    Raises:
        ValueError: `text` is not a size, or not a whole number of bytes.

    >>> parse_size("8 MiB"), parse_size("1.5kB"), parse_size("4096")
    (8388608, 1500, 4096)
    """
    number, scale = _parse(text, _SIZE_FACTORS)
    size, rest = divmod(number, scale)
    if rest:
        raise ValueError("not a whole number of bytes")
    return size


def format_size(size: int) -> str:
    """Return `size` bytes in the largest unit that expresses it exactly.

    >>> format_size(8 * 1024 * 1024), format_size(1500), format_size(0)
    ('8 MiB', '1500 B', '0 B')
    """
    for unit, factor in _SIZE_UNITS:
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def parse_duration(text: str) -> float:
    """Parse a duration, and return it in seconds.

    Args:
        text: A number, then ms, s, m, h or d; no unit means seconds.

    Returns:
        Seconds, 0 or more.

    Raises:
        ValueError: `text` is not a duration.

    >>> parse_duration("7d"), parse_duration("500 ms"), parse_duration("60")
    (604800.0, 0.5, 60.0)
    """
    milliseconds, scale = _parse(text, _DURATION_FACTORS)
    return milliseconds / (scale * 1000)


def _parse(text: str, factors: Mapping[str, int]) -> tuple[int, int]:
    """Return numerator and denominator of a number with one of the units in `factors`."""
    match = re.fullmatch(_NUMBER, text.strip())
    factor = factors.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise ValueError("not a number with a known unit")
    fraction = match[2] or ""
    scale: int = 10 ** len(fraction)
    return int(match[1] + fraction) * factor, scale


def format_duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that expresses it exactly.

    >>> format_duration(604800.0), format_duration(0.5), format_duration(90)
    ('7d', '0.5s', '90s')
    """
    whole = int(seconds)
    if whole != seconds:
        text = repr(seconds)
        if "e" in text:  # a fraction such as 1e-05
            from decimal import Decimal  # noqa: PLC0415 - rarely needed, costs import time

            text = f"{Decimal(text):f}"
        return f"{text}s"
    for unit, factor in _DURATION_UNITS:
        if whole and whole % factor == 0:
            return f"{whole // factor}{unit}"
    return "0s"
