"""The circuit breaker, with a clock that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

from otel_ext.exporters.delivery.retry import CircuitBreaker
from otel_ext.exporters.delivery.settings import RemoteSettings


class Clock:
    """A clock that stands still until the test sets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def breaker_on(clock: Clock, **limits: float) -> CircuitBreaker:
    """Return a breaker without jitter, so its intervals are exact."""
    made = RemoteSettings(
        retry_failures=3,
        retry_initial_interval=limits.get("initial_interval", 1.0),
        retry_max_interval=8.0,
    )
    return CircuitBreaker("test", made, clock=clock, jitter=lambda: 1.0)


def opened(breaker: CircuitBreaker) -> None:
    """Open it."""
    for _ in range(3):
        assert breaker.allows()
        breaker.failed("no answer")


def test_it_opens_after_failures_in_a_row() -> None:
    """A success in between resets the count."""
    breaker = breaker_on(Clock())
    for _ in range(5):
        breaker.failed("no answer")
        breaker.failed("no answer")
        breaker.succeeded()
    assert breaker.allows()
    opened(breaker)
    assert breaker.state == "open"
    assert not breaker.allows()


def test_half_open_allows_one_try() -> None:
    """No further try is allowed until the outcome of that one is known."""
    clock = Clock()
    breaker = breaker_on(clock)
    opened(breaker)
    clock.now += 1.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_the_interval_doubles_up_to_its_maximum() -> None:
    """1, 2, 4, 8, 8 seconds; a success makes it 1 again."""
    clock = Clock()
    breaker = breaker_on(clock)
    opened(breaker)
    intervals = [breaker.wait]
    for _ in range(4):
        clock.now += breaker.wait
        assert breaker.allows()
        breaker.failed("no answer")
        intervals.append(breaker.wait)
    assert intervals == [1.0, 2.0, 4.0, 8.0, 8.0]
    clock.now += 8.0
    assert breaker.allows()
    breaker.succeeded()
    opened(breaker)
    assert breaker.wait == 1.0


def test_it_respects_retry_after() -> None:
    """`Retry-After` opens it at once; jitter only adds to it, and there is a maximum."""
    clock = Clock()
    breaker = breaker_on(clock)
    breaker.failed("slow down", retry_after=20.0)
    assert 20.0 <= breaker.wait <= 22.0
    clock.now += 30
    assert breaker.allows()
    breaker.failed("slow down", retry_after=10.0**9)
    assert breaker.wait <= 4_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry_failures": 0},
        {"retry_initial_interval": 0.0},
        {"retry_initial_interval": -1.0},
        {"retry_max_interval": -1.0},
        {"persistent_queue_size": 0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="=-?[01]"):
        RemoteSettings(**wrong)
