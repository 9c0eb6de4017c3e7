"""Reads the times of other tools; what is not a time is an error, never 1970."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from otel_ext.errors import RecordError
from otel_ext.record.timestamps import EPOCH

__all__ = ["nanoseconds", "time_in"]

_SECOND: Final = 1_000_000_000
_DIGITS: Final = 9
# As many digits as the largest number that OTLP can have.
_WHOLE: Final = re.compile(r"\d{1,20}", re.ASCII)
_LARGEST: Final = 2**64 - 1
_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d+))? ?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
# The nanoseconds of the unit of a number that is less than the first: a time of this century
# in seconds is far below one in milliseconds.
_UNITS: Final = ((10**11, _SECOND), (10**14, 1_000_000), (10**17, 1_000), (math.inf, 1))


def nanoseconds(value: object, unit: int, name: str) -> int:
    """Return a number, or a text of digits, in nanoseconds.

    Args:
        value: The number; a fraction is rounded.
        unit: How many nanoseconds one is.
        name: What it is, for the error.

    Raises:
        RecordError: It is missing, not a number, negative, or too large.

    >>> nanoseconds("15", 1_000, "start"), nanoseconds(1.5, 1_000, "start")
    (15000, 1500)
    """
    number: int | float | None = None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        number = int(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        number = value
    if number is not None and 0 <= number <= _LARGEST // unit:
        # By way of its decimal digits, which are what the document has.
        return number * unit if isinstance(number, int) else round(Decimal(repr(number)) * unit)
    raise _not_valid(value, name)


def time_in(value: object, name: str) -> int:
    """Return the nanoseconds since the epoch of a text or a number.

    A text without an offset is in UTC. The size of a number tells whether it is in seconds,
    milliseconds, microseconds or nanoseconds.

    Args:
        value: The time.
        name: What it is, for the error.

    Raises:
        RecordError: It is missing, or not a time.

    >>> time_in("1970-01-01T00:00:01.000000001Z", "time"), time_in("1970-01-01 00:00", "time")
    (1000000001, 0)
    >>> time_in(1740823200.5, "time") == time_in(1740823200500, "time")
    True
    """
    if isinstance(value, int | float):
        unit = next((unit for limit, unit in _UNITS if value < limit), 1)
        return nanoseconds(value, unit, name)
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        date, minutes, seconds, fraction, offset = match.groups()
        try:
            moment = datetime.fromisoformat(
                f"{date}T{minutes}{seconds or ':00'}{_full_offset(offset or 'Z')}"
            )
        except ValueError:
            pass  # there is no such day or hour
        else:
            whole = (moment - EPOCH) // timedelta(seconds=1) * _SECOND
            return whole + int((fraction or "0")[:_DIGITS].ljust(_DIGITS, "0"))
    raise _not_valid(value, name)


def _full_offset(offset: str) -> str:
    if offset in {"Z", "z"}:
        return "+00:00"
    return f"{offset[:3]}:{offset[-2:]}"


def _not_valid(value: object, name: str) -> RecordError:
    if value is None:
        return RecordError(f"it has no {name}")
    is_short = isinstance(value, str | int | float)
    shown = repr(value)[:80] if is_short else f"of type {type(value).__name__}"
    return RecordError(f"its {name} {shown} is not valid")
