"""Converts times to text and back: RFC 3339 in UTC with six digits and `Z`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from otel_ext.errors import RecordError

__all__ = ["EPOCH", "exact_times", "format_ns", "parse_timestamp", "time_of"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""The moment that times are counted from."""

_SECOND: Final = 1_000_000_000
_MICROSECOND: Final = 1_000
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that has four digits
_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.(\d{6})Z",
    re.ASCII,
)

# By their texts, seconds that were read: records of one moment share them.
_seconds: dict[str, int] = {}
_MOST_SECONDS: Final = 10_000
_LENGTH: Final = len("2026-10-14T17:46:40.123456Z")

# The last second and its text, which nearly all records of a moment share. One tuple,
# replaced as a whole, so that threads never see half of a change.
_cached: tuple[int, str] = (0, "1970-01-01T00:00:00.")


def format_ns(time_ns: int) -> str:
    """Return `time_ns` as text, cut (not rounded) to microseconds.

    Times outside the years 1 to 9999 become the nearest second within them.

    Args:
        time_ns: Nanoseconds since the epoch.

    >>> format_ns(1_792_000_000_123_456_789)
    '2026-10-14T17:46:40.123456Z'
    """
    global _cached  # noqa: PLW0603 - a cache of one entry is the quickest there is
    second, rest = divmod(time_ns, _SECOND)
    cached = _cached
    if cached[0] != second:
        cached = _cached = (second, _format_second(second))
    return f"{cached[1]}{rest // 1000:06d}Z"


def _format_second(second: int) -> str:
    second = min(max(second, -62_135_596_800), _LAST_SECOND)
    moment = EPOCH + timedelta(seconds=second)
    # Not `strftime`: it imports a module, which fails while the interpreter shuts down.
    return f"{moment.isoformat()[:19]}."


def parse_timestamp(text: str) -> int:
    """Return the nanoseconds since the epoch that `text` stands for.

    Args:
        text: A timestamp in the form that `format_ns` returns.

    Raises:
        RecordError: `text` does not have this form, or no such day or hour exists.

    >>> parse_timestamp("2026-10-14T17:46:40.123456Z")
    1792000000123456000
    """
    second = _seconds.get(text[:19])
    if second is not None and len(text) == _LENGTH and text[19] == "." and text[26] == "Z":
        rest = text[20:26]
        if rest.isdecimal() and rest.isascii():
            return second + int(rest) * _MICROSECOND
    match = _FORM.fullmatch(text)
    if match is None:
        raise RecordError(
            f"timestamp {text[:80]!r} is not RFC 3339 in UTC with six digits",
            hint="Write it like 2026-10-14T17:46:40.123456Z",
        )
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")
    except ValueError as error:
        raise RecordError(f"timestamp {text!r} does not exist: {error}") from None
    second = (moment - EPOCH) // timedelta(seconds=1) * _SECOND
    if len(_seconds) >= _MOST_SECONDS:
        _seconds.clear()
    _seconds[text[:19]] = second
    return second + int(match[3]) * _MICROSECOND


def time_of(timestamp: str) -> int:
    """Return the time of a record's timestamp; 0 if it is not a valid one.

    >>> time_of("1970-01-01T00:00:01.000000Z"), time_of("soon")
    (1000000000, 0)
    """
    try:
        return parse_timestamp(timestamp) if timestamp else 0
    except RecordError:
        return 0


def exact_times(start_ns: int, time_ns: int, duration_ns: int) -> tuple[int, int]:
    """Return start and end in nanoseconds, so that their difference is the duration.

    Timestamps are cut to microseconds and the duration is exact; adding the cut nanoseconds
    to one of the two makes them agree. Times that differ more stay as they are.

    >>> exact_times(1_000, 5_000, 4_600), exact_times(1_000, 5_000, 3_900)
    ((1000, 5600), (1100, 5000))
    """
    cut = start_ns + duration_ns - time_ns
    if 0 <= cut < _MICROSECOND:
        return start_ns, time_ns + cut
    if -_MICROSECOND < cut < 0:
        return start_ns - cut, time_ns
    return start_ns, time_ns
