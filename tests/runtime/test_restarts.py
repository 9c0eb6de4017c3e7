"""The restart policy: back-off in a row, and the limit that several parts share."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from otel_ext.runtime.restarts import Intensity, RestartPolicy


@given(
    st.integers(1, 5),
    st.floats(0.1, 10.0),
    st.lists(st.floats(0.0, 3.0), max_size=60),
)
def test_no_window_has_more_restarts_than_the_limit(
    most: int, within: float, gaps: list[float]
) -> None:
    """However failures are spread, any window of the given length has at most the limit."""
    intensity, now, restarts = Intensity(most, within), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if intensity.allows(now):
            restarts.append(now)
        else:
            # It refuses only when the window is full.
            assert sum(now - time < within for time in restarts) == most
    for first, time in enumerate(restarts):
        assert sum(other - time < within for other in restarts[first:]) <= most


def test_parts_share_a_limit_but_not_the_back_off() -> None:
    """Each part has its own pauses; the restarts of all of them count together."""
    intensity = Intensity(3, 5.0)
    one = RestartPolicy(1.0, 8.0, stable=60.0, intensity=intensity)
    other = RestartPolicy(1.0, 8.0, stable=60.0, intensity=intensity)
    assert (one.failed(0.0, "x"), one.failed(0.1, "x"), other.failed(0.2, "x")) == (1.0, 2.0, 1.0)
    assert other.failed(0.3, "x") == inf
    assert (one.failures, other.failures) == (2, 1), "a refused restart is no pause"
    intensity.reset()
    assert other.failed(0.4, "x") == 2.0


def test_a_part_that_ran_long_starts_with_the_first_pause() -> None:
    """Only failures in a row make the pause longer; `reset` ends the row as well."""
    policy = RestartPolicy(1.0, 8.0, stable=10.0)
    pauses: list[float] = []
    for start, end in ((0.0, 1.0), (2.0, 12.0), (20.0, 30.1)):
        policy.started(start)
        pauses.append(policy.failed(end, "x"))
    assert pauses == [1.0, 2.0, 1.0]
    policy.reset()
    assert policy.failures == 0
    assert policy.failed(31.0, "x") == 1.0
