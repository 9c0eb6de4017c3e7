"""Decides how long to wait after failures in a row: every back-off of this package.

The parameters have the names of the OpenTelemetry Collector's `configretry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff"]

# The longest `Retry-After` that is respected, in seconds.
_MAX_RETRY_AFTER: Final = 3_600.0
# So many doublings exceed any maximum, and can still be calculated.
_DOUBLINGS: Final = 60


class Backoff:
    """The failures in a row and when to try again; times are seconds of one monotonic clock.

    Args:
        initial_interval: Seconds to wait after the first failure; doubles with each further one.
        max_interval: Upper limit of the interval, in seconds.
        randomization: Returns a number from 0 to 1. With it half of the interval is random,
            and up to a tenth is added to `Retry-After`, which spreads the retries of many
            processes.

    >>> backoff = Backoff(0.5, 30.0)
    >>> backoff.failed(100.0), backoff.failed(100.0, "refused"), backoff.problem
    (0.5, 1.0, 'refused')
    >>> backoff.allows(100.9), backoff.allows(101.0)
    (False, True)
    >>> backoff.reset(), backoff.failures
    (True, 0)
    """

    def __init__(
        self,
        initial_interval: float,
        max_interval: float,
        randomization: Callable[[], float] | None = None,
    ) -> None:
        self.initial_interval = initial_interval
        self.max_interval = max_interval
        self._randomization = randomization
        self.failures = 0
        self.reset()

    def reset(self) -> bool:
        """Note a success: a try is allowed; return whether there was a failure before."""
        had_failed = self.failures > 0
        self.failures = 0
        self.problem = ""
        self._until = self._asked_until = 0.0
        return had_failed

    def failed(self, now: float, problem: str = "", *, retry_after: float = 0.0) -> float:
        """Note a failure; return the seconds until the next try.

        Args:
            now: The time.
            problem: What has failed.
            retry_after: Seconds that the destination asks for (`Retry-After`); 0 for none.
        """
        self.failures += 1
        self.problem = problem
        doubled = self.initial_interval * 2.0 ** min(self.failures - 1, _DOUBLINGS)
        interval = min(doubled, self.max_interval)
        asked = min(retry_after, _MAX_RETRY_AFTER)
        if self._randomization is not None:
            interval *= 0.5 + 0.5 * self._randomization()
            asked *= 1 + 0.1 * self._randomization()
        self._until = now + interval
        self._asked_until = now + asked
        return max(interval, asked)

    def retry_now(self) -> None:
        """Allow the next try at once, because a caller waits for it."""
        self._until = self._asked_until = 0.0

    def allows(self, now: float, *, is_flush: bool = False) -> bool:
        """Return whether the next try may be made.

        Args:
            now: The time.
            is_flush: Whether only the delay that the destination asked for counts.
        """
        return now >= self._asked_until and (is_flush or now >= self._until)

    def wait(self, now: float) -> float:
        """Return the seconds until the next try may be made; 0 if it may be made now."""
        return max(self._until - now, self._asked_until - now, 0.0)
