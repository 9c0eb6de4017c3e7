"""Decides whether and when something that has failed is started again.

The worker's thread, the server's storing process and the children of a supervisor all
follow it. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from otel_ext.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Intensity", "RestartPolicy"]


class Intensity:
    """Limits how many restarts there may be within some seconds, of one part or of several.

    Args:
        max_restarts: The most restarts in any `within` seconds.
        within: The length of that window in seconds.

    >>> intensity = Intensity(2, 5.0)
    >>> intensity.allows(0.0), intensity.allows(1.0), intensity.allows(4.9)
    (True, True, False)
    >>> intensity.allows(5.1)
    True
    """

    def __init__(self, max_restarts: int, within: float) -> None:
        self.max_restarts = max_restarts
        self.within = within
        self._restarts: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Return whether one more restart is allowed now; count it if it is."""
        while self._restarts and now - self._restarts[0] >= self.within:
            self._restarts.popleft()
        if len(self._restarts) >= self.max_restarts:
            return False
        self._restarts.append(now)
        return True

    def reset(self) -> None:
        """Forget all restarts."""
        self._restarts.clear()


class RestartPolicy:
    """When one part starts again: the back-off, and the limit that it shares with others.

    Args:
        initial_interval: Seconds before the first restart; doubles with each failure in a row.
        max_interval: Upper limit of that, in seconds.
        stable: A failure after a run of more than so many seconds is the first in a row.
        intensity: The limit; None for restarts without a limit.
        randomization: As that of `Backoff`.

    >>> policy = RestartPolicy(0.5, 30.0, stable=60.0)
    >>> policy.started(100.0)
    >>> policy.failed(101.0, "refused"), policy.failed(102.0, "refused"), policy.failures
    (0.5, 1.0, 2)
    >>> policy.started(200.0)
    >>> policy.failed(270.0, "refused")
    0.5
    """

    def __init__(
        self,
        initial_interval: float,
        max_interval: float,
        *,
        stable: float = inf,
        intensity: Intensity | None = None,
        randomization: Callable[[], float] | None = None,
    ) -> None:
        self._backoff = Backoff(initial_interval, max_interval, randomization)
        self._stable = stable
        self._intensity = intensity
        self._started_at: float | None = None

    @property
    def failures(self) -> int:
        """How many failures in a row there were."""
        return self._backoff.failures

    def started(self, now: float) -> None:
        """Note that the part has started."""
        self._started_at = now

    def failed(self, now: float, problem: str) -> float:
        """Note that the part has ended and is wanted again.

        Args:
            now: The time.
            problem: Why it has ended.

        Returns:
            The seconds until it may start; infinity if the limit allows no restart.
        """
        if self._started_at is not None and now - self._started_at > self._stable:
            self._backoff.reset()
        self._started_at = None
        if self._intensity is not None and not self._intensity.allows(now):
            return inf
        return self._backoff.failed(now, problem)

    def reset(self) -> None:
        """Note that the part works: the next failure is the first in a row."""
        self._backoff.reset()
