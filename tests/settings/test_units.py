"""Sizes and durations: they round-trip exactly, and other text is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.settings.units import format_duration, format_size, parse_duration, parse_size

YEARS = 100 * 365 * 86_400


@given(st.integers(0, 2**60))
def test_a_formatted_size_parses_back(size: int) -> None:
    """The text of `format_size` is parsed as the same number of bytes."""
    assert parse_size(format_size(size)) == size


@given(st.floats(0, YEARS, allow_nan=False))
def test_a_formatted_duration_parses_back(seconds: float) -> None:
    """The text of `format_duration` is parsed as the same float, to the last bit."""
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, YEARS))
def test_a_formatted_whole_duration_parses_back(seconds: int) -> None:
    """Whole seconds keep their value through the largest unit that fits."""
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(max_size=20))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """A parser raises only ValueError and returns no negative number, whatever the text."""
    for parse in (parse_size, parse_duration):
        with suppress(ValueError):
            assert parse(text) >= 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("8 MiB", 8 * 1024**2),
        ("8mib", 8 * 1024**2),
        (" 64 KiB ", 65_536),
        ("1.5 KiB", 1536),
        ("2kB", 2000),
        ("1 TiB", 1024**4),
        ("7 B", 7),
    ],
)
def test_sizes_with_units(text: str, size: int) -> None:
    """Units of 1024 and of 1000 differ; case and spaces do not matter."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("60", 60.0),
        ("0.1", 0.1),
        ("500ms", 0.5),
        ("1.5m", 90.0),
        ("24 H", 86_400.0),
        ("7d", 604_800.0),
    ],
)
def test_durations_with_units(text: str, seconds: float) -> None:
    """A duration without a unit is in seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-1", "+1", "1e6", "nan", "inf", "5 parsecs", "1 2", "1h30m"),
        *("٣", "0x10", "1.", ".5", "9" * 5000, "9" * 100_000),
    ],
    ids=lambda text: text[:10],
)
def test_other_text_is_refused(text: str) -> None:
    """Signs, exponents, non-ASCII digits, unknown units and endless numbers are refused."""
    with pytest.raises(ValueError, match="not a"):
        parse_size(text)
    with pytest.raises(ValueError, match="not a"):
        parse_duration(text)


def test_a_fraction_of_a_byte_is_refused() -> None:
    """A size that is not a whole number of bytes is an error, not rounded."""
    with pytest.raises(ValueError, match="whole number"):
        parse_size("0.1 KiB")
