"""`CircuitBreaker`: stops sending to a destination that fails, then tries it once.

::

    closed ──(some failures in a row)──► open ──(interval is over)──► half-open
       ▲                                   ▲                              │
       │                                   └──────────(it failed)─────────┤
       └──────────────────────────(it succeeded)──────────────────────────┘

Used by one thread; other threads read only the state. `docs/adr/` explains why no
existing library is used.
"""

from __future__ import annotations

import random
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import HealthCell

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CircuitBreaker", "CircuitState", "interval_after"]

CircuitState: TypeAlias = Literal["closed", "open", "half-open"]

# The maximum: a destination may ask for longer, but is tried after this.
_LONGEST_RETRY_AFTER: Final = 3_600.0
_DOUBLINGS: Final = 20


def interval_after(failures: int, settings: RemoteSettings, jitter: float) -> float:
    """Return the seconds to wait after `failures`: half of the interval is fixed.

    Args:
        failures: How many in a row.
        settings: The first and the longest interval; if the first is longer, it counts.
        jitter: From 0 to 1; spreads the retries of many processes.

    >>> settings = RemoteSettings(retry_initial_interval=1.0)
    >>> interval_after(3, settings, 1.0), interval_after(3, settings, 0.0)
    (4.0, 2.0)
    """
    initial = settings.retry_initial_interval
    whole = initial * 2.0 ** min(failures - 1, _DOUBLINGS)
    return min(whole, max(settings.retry_max_interval, initial)) * (0.5 + 0.5 * jitter)


class CircuitBreaker:
    """Decides whether a destination may be tried now.

    Args:
        name: The destination; `health()` lists the circuit as `NAME circuit`.
        settings: When it opens, and for how long.
        clock: A monotonic clock, in seconds.
        jitter: Returns a number from 0 to 1.

    >>> breaker = CircuitBreaker(
    ...     "doctest", RemoteSettings(retry_failures=2, retry_initial_interval=60)
    ... )
    >>> breaker.failed("refused"), breaker.state, breaker.failed("refused"), breaker.state
    (None, 'closed', None, 'open')
    >>> breaker.allows()
    False
    """

    def __init__(
        self,
        name: str,
        settings: RemoteSettings | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings or RemoteSettings()
        self._clock = clock
        self._jitter = jitter
        self._state: CircuitState = "closed"
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._cell = HealthCell(f"{name} circuit", "closed")

    @property
    def state(self) -> CircuitState:
        """The state: `closed`, `open` or `half-open`."""
        return self._state

    @property
    def wait(self) -> float:
        """Seconds until the next try; 0 unless the circuit is open."""
        return max(self._until - self._clock(), 0.0) if self._state == "open" else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether `allows` would allow a try now."""
        return self._state == "closed" or (self._state == "open" and self._clock() >= self._until)

    def allows(self) -> bool:
        """Whether a try may be made now; if so, report its outcome by the methods below.

        Half-open, it allows one try until the outcome of that one is reported.
        """
        if not self.is_ready:
            return False
        if self._state == "open":
            self._state = "half-open"
            self._cell.degraded("half-open: one batch is tried")
        return True

    def succeeded(self) -> None:
        """Note a success: the circuit closes."""
        self._failures = self._openings = 0
        if self._state != "closed":
            self._state = "closed"
            COUNTERS.add("remote.circuit_closed")
        self._cell.healthy("closed")

    def failed(self, message: str, *, retry_after: float = 0.0, at_once: bool = False) -> None:
        """Note a failure.

        Args:
            message: Why it failed.
            retry_after: Seconds that the destination asks for (`Retry-After`); opens at once.
            at_once: Whether to open whatever the number of failures.
        """
        self._failures += 1
        enough = self._failures >= self._settings.retry_failures or self._state == "half-open"
        if not (enough or at_once or retry_after > 0):
            self._cell.degraded(f"closed, {self._failures} failures: {message}")
            return
        self._openings += 1
        COUNTERS.add("remote.circuit_opened")
        pause = interval_after(self._openings, self._settings, self._jitter())
        asked = min(retry_after, _LONGEST_RETRY_AFTER) * (1 + 0.1 * self._jitter())
        self._until = self._clock() + max(pause, asked)
        self._state = "open"
        self._cell.failed(f"open, the next try in {max(pause, asked):.1f} s: {message}")
