"""Durations and other text for people, and texts that fit and are safe on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.readable import duration
from otel_ext.terminal.text import cells, cut, printable, wrapped


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0.00 ms"),
        (999, "0.00 ms"),
        (5_000_000, "5.00 ms"),
        (9_996_000, "10.0 ms"),
        (99_960_000, "100 ms"),
        (123_456_789, "123 ms"),
        (999_400_000, "999 ms"),
        (999_700_000, "1.00 s"),
        (9_994_000_000, "9.99 s"),
        (9_996_000_000, "10.0 s"),
        (59_000_000_000, "59.0 s"),
        (60_000_000_000, "1 min 00 s"),
        (3_725_000_000_000, "1 h 02 min"),
        (-5_000_000, "-5.00 ms"),
    ],
)
def test_durations(nanoseconds: int, text: str) -> None:
    """Durations have a readable unit; a clock that was set back gives a negative one."""
    assert duration(nanoseconds) == text


@given(st.text(), st.integers(0, 40))
def test_cut_text_fits(text: str, width: int) -> None:
    """Cut text has at most `width` columns, and is unchanged if it fits."""
    got = cut(text, width)
    assert cells(got) <= width
    assert got == text or cells(text) > width


@given(st.text(), st.integers(1, 200))
def test_printable_text_has_nothing_that_a_terminal_obeys(text: str, limit: int) -> None:
    """Any text becomes printable; what is printable and short enough stays as it is."""
    got = printable(text, limit)
    assert got.isprintable()
    assert got == text or not text.isprintable() or len(text) > limit
    assert printable(got, 10 * limit) == got


@pytest.mark.parametrize("width", [0, 1, 30])
def test_wrapped_text_keeps_its_words(width: int) -> None:
    """Text is broken between words only; without a width it is one line."""
    text = "records wait in the ring buffer until it is full, then they are dropped"
    lines = wrapped(text, width)
    assert " ".join(lines) == text
    assert (len(lines) == 1) is (width == 0)
