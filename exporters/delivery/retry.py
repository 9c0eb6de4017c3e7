"""`CircuitBreaker`: decides when a destination that fails is tried again.

After some failures in a row nothing is sent for a while, then one request.

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
from typing import TYPE_CHECKING, Literal, TypeAlias

from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.runtime.backoff import Backoff
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import HealthCell

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CircuitBreaker", "CircuitState"]

CircuitState: TypeAlias = Literal["closed", "open", "half-open"]


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
        initial = self._settings.retry_initial_interval
        # If the first interval is longer than the longest, it counts.
        longest = max(self._settings.retry_max_interval, initial)
        self._backoff = Backoff(initial, longest, jitter)
        self._state: CircuitState = "closed"
        self._failures = 0
        self._cell = HealthCell(f"{name} circuit", "closed")

    @property
    def state(self) -> CircuitState:
        """The state: `closed`, `open` or `half-open`."""
        return self._state

    @property
    def wait(self) -> float:
        """Seconds until the next try; 0 unless the circuit is open."""
        return self._backoff.wait(self._clock()) if self._state == "open" else 0.0

    def is_ready(self, *, is_flush: bool = False) -> bool:
        """Whether `allows` would allow a try now."""
        if self._state == "open":
            return self._backoff.allows(self._clock(), is_flush=is_flush)
        return self._state == "closed"

    def allows(self, *, is_flush: bool = False) -> bool:
        """Whether a try may be made now; if so, report its outcome by the methods below.

        Half-open, it allows one try until the outcome of that one is reported.

        Args:
            is_flush: Whether only a pause that the destination asks for counts.
        """
        if not self.is_ready(is_flush=is_flush):
            return False
        if self._state == "open":
            self._state = "half-open"
            self._cell.degraded("half-open: one request is tried")
        return True

    def succeeded(self) -> None:
        """Note a success: the circuit closes."""
        self._failures = 0
        self._backoff.reset()
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
        COUNTERS.add("remote.circuit_opened")
        pause = self._backoff.failed(self._clock(), message, retry_after=retry_after)
        self._state = "open"
        self._cell.failed(f"open, the next try in {pause:.1f} s: {message}")

    def end(self) -> None:
        """Show in `health()` that nothing is sent any more; that is not a failure."""
        self._cell.healthy("ended")
