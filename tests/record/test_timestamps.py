"""Conversion of times to text and back."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.errors import RecordError
from otel_ext.record.timestamps import format_ns, parse_timestamp

FIRST = -62_135_596_800 * 10**9
LAST = 253_402_300_799 * 10**9 + 999_999_999


@given(st.integers(FIRST, LAST))
def test_text_is_the_time_cut_to_microseconds(time_ns: int) -> None:
    """Every time in the years 1 to 9999 round-trips, cut and not rounded."""
    text = format_ns(time_ns)
    assert len(text) == 27
    assert parse_timestamp(text) == time_ns // 1000 * 1000


@given(st.integers(FIRST, LAST))
def test_text_agrees_with_the_standard_library(time_ns: int) -> None:
    """Python's own calendar reads the same time from the text."""
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_ns // 1000)
    assert format_ns(time_ns) == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


@given(st.lists(st.integers(FIRST, LAST), min_size=2, max_size=9))
def test_texts_sort_like_their_times(times: list[int]) -> None:
    """Sorting the texts sorts the times."""
    assert sorted(map(format_ns, times)) == [format_ns(time_ns) for time_ns in sorted(times)]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_709_164_800 * 10**9, "2024-02-29T00:00:00.000000Z"),
        (2**80, "9999-12-31T23:59:59"),
        (-(2**80), "0001-01-01T00:00:00"),
    ],
)
def test_edges(time_ns: int, text: str) -> None:
    """Times before the epoch, leap days, and times beyond the calendar."""
    assert format_ns(time_ns).startswith(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-20 16:00:00.000000Z",
        "2026-11-20T16:00:00Z",
        "2026-11-20T16:00:00.000Z",
        "2026-11-20T16:00:00.000000+00:00",
        "2026-11-20T16:00:00.000000Z\n",
        "2026-02-30T00:00:00.000000Z",
        "2026-11-20T25:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "\uff12026-11-20T16:00:00.000000Z",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    """A text in any other form raises a RecordError that shows it."""
    with pytest.raises(RecordError, match="timestamp") as caught:
        parse_timestamp(text)
    assert repr(text)[:40] in str(caught.value)


def test_threads_never_mix_their_seconds() -> None:
    """Threads that format different seconds at the same time each get their own."""
    wrong: list[str] = []

    def work(second: int) -> None:
        expected = format_ns(second * 10**9)
        got = [format_ns(second * 10**9) for _ in range(3_000)]
        wrong.extend(text for text in got if text != expected)

    threads = [threading.Thread(target=work, args=(number * 86_400,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
