"""Times as text: RFC 3339 in UTC with six digits and `Z`, and back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from otel_ext.errors import RecordError

__all__ = ["format_ns", "parse_timestamp"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND: Final = 1_000_000_000
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that has four digits
_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.(\d{6})Z",
    re.ASCII,
)

# The text up to the second, by second: nearly all records of a moment share it.
# One tuple, replaced whole, so that threads never see half of a change.
_cached: tuple[int, str] = (0, "1970-01-01T00:00:00.")


def format_ns(time_ns: int) -> str:
    """Return `time_ns` as text, cut (not rounded) to microseconds.

    Times outside the years 1 to 9999 are moved to the nearest that can be told.

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
    moment = _EPOCH + timedelta(seconds=second)
    # `strftime` imports a module, which an interpreter that ends does no more.
    return f"{moment.isoformat()[:19]}."


def parse_timestamp(text: str) -> int:
    """Return the nanoseconds since the epoch that `text` stands for.

    Args:
        text: A timestamp as `format_ns` makes it.

    Raises:
        RecordError: `text` is no such timestamp, or no such day or hour exists.

    >>> parse_timestamp("2026-10-14T17:46:40.123456Z")
    1792000000123456000
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise RecordError(
            f"timestamp {text[:80]!r} is not RFC 3339 in UTC with six digits",
            hint="Write it like 2026-10-14T17:46:40.123456Z",
        )
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")
    except ValueError as error:
        raise RecordError(f"timestamp {text!r} names no moment: {error}") from None
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds * _SECOND + int(match[3]) * 1000
