"""Times of other tools are read as they are, or are an error."""

from __future__ import annotations

import pytest

from otel_ext.errors import RecordError
from otel_ext.formats.read.times import nanoseconds, time_in

MOMENT = 1_740_823_200_000_000_000  # 2025-03-01T10:00:00Z


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("2025-03-01T10:00:00Z", 0),
        ("2025-03-01T10:00:00", 0),
        ("2025-03-01 10:00", 0),
        ("2025-03-01T12:00:00+02:00", 0),
        ("2025-03-01T04:30:00.5-0530", 500_000_000),
        ("2025-03-01T10:00:00.123456789Z", 123_456_789),
        ("2025-03-01T10:00:00.1234567891Z", 123_456_789),
        (1_740_823_200, 0),
        (1_740_823_200.25, 250_000_000),
        (1_740_823_200.123456, 123_456_000),
        (1_740_823_200_001, 1_000_000),
        (1_740_823_200_000_001, 1_000),
        (MOMENT + 1, 1),
    ],
)
def test_texts_and_numbers(value: object, rest: int) -> None:
    """Without an offset in UTC; numbers in the unit that their size tells."""
    assert time_in(value, "time") == MOMENT + rest


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, "", "soon", "2025-02-30T10:00:00Z", "2025-03-01T24:00:01Z", "٢", [], {}),
        *(-1, float("nan"), float("inf"), 10**30),
    ],
)
def test_what_is_not_a_time_is_an_error(value: object) -> None:
    """It never becomes 1970."""
    with pytest.raises(RecordError, match="its time|no time"):
        time_in(value, "time")


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (5, 1_000, 5_000),
        ("1544712660000000001", 1, 1_544_712_660_000_000_001),
        (1.54471266e18, 1, 1_544_712_660_000_000_000),
        (1_544_712_660_000_001.0, 1_000, 1_544_712_660_000_001_000),
        (0.4996, 1_000, 500),
        (0, 1, 0),
    ],
)
def test_numbers(value: object, unit: int, expected: int) -> None:
    """Also as texts, and with a fraction."""
    assert nanoseconds(value, unit, "start") == expected


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "٢", -1, True, 2**64, float("nan"), []])
def test_what_is_not_a_number_is_an_error(value: object) -> None:
    """It never becomes 0."""
    with pytest.raises(RecordError, match="its start|no start"):
        nanoseconds(value, 1, "start")
