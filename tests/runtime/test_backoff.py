"""The back-off that every retry of this package uses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.runtime.backoff import Backoff


def test_the_interval_doubles_up_to_its_maximum() -> None:
    """A success makes the next interval the initial one again."""
    backoff = Backoff(0.1, 0.5)
    assert [backoff.failed(10.0) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert backoff.failures == 5
    assert backoff.wait(10.25) == 0.25
    assert backoff.reset()
    assert not backoff.reset()
    assert backoff.allows(10.0)
    assert backoff.failed(10.0) == 0.1


def test_a_flush_waits_only_as_long_as_the_destination_asks() -> None:
    """`Retry-After` counts for every try, up to an hour; the interval does not for a flush."""
    backoff = Backoff(8.0, 30.0)
    assert backoff.failed(100.0, retry_after=2.0) == 8.0
    assert [backoff.allows(now, is_flush=True) for now in (101.9, 102.0)] == [False, True]
    assert [backoff.allows(now) for now in (107.9, 108.0)] == [False, True]
    assert backoff.failed(200.0, retry_after=20.0) == 20.0
    assert not backoff.allows(219.9)
    assert backoff.failed(300.0, retry_after=10.0**9) == 3_600.0
    backoff.retry_now()
    assert backoff.allows(300.0)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 10.0**9))
def test_an_interval_is_bounded(failures: int, random: float, retry_after: float) -> None:
    """Between half of the initial one and the maximum, for any number of failures."""
    backoff = Backoff(0.5, 30.0, lambda: random)
    backoff.failures = failures - 1
    assert 0.25 <= backoff.failed(0.0) <= 30.0
    assert min(retry_after, 3_600.0) <= backoff.failed(0.0, retry_after=retry_after) < 3_960.1


def test_a_tiny_interval_reaches_the_maximum() -> None:
    """However often it must double."""
    backoff = Backoff(1e-9, 30.0)
    backoff.failures = 2_000
    assert backoff.failed(0.0) == 30.0
