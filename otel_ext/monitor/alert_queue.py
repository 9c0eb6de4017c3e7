"""`AlertQueue`: delivers each alert once, so many in a minute, while the others wait."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.monitor.alert import Alert

__all__ = ["AlertQueue", "Key"]

Key: TypeAlias = tuple[str, ...]
"""A condition that alerts, such as an operation that is slow."""

_MINUTE: Final = 60.0
# How long one call of `send` goes on, so that many slow deliveries do not look like a hang.
_SEND_SECONDS: Final = 0.5


class AlertQueue:
    """Delivers the alert of each condition once, in order; for one thread.

    While too many were delivered in the last minute, alerts wait. A condition that is over
    before there is room for its alert is counted in `suppressed` of the next alert.

    Args:
        per_minute: How many alerts are delivered in any minute.
        deliver: Called with each.

    >>> from otel_ext.monitor.alert import Alert
    >>> queue = AlertQueue(1, print)
    >>> queue.fire(("a",), Alert("memory", "", 2_048, 1_024))
    >>> queue.fire(("b",), Alert("memory", "", 4_096, 1_024))
    >>> queue.send()
    memory: 2 KiB, more than 1 KiB
    >>> queue.is_firing(("b",))
    True
    """

    def __init__(self, per_minute: int, deliver: Callable[[Alert], object]) -> None:
        self._per_minute = per_minute
        self._deliver = deliver
        # When those of the last minute were delivered.
        self._sent: deque[float] = deque()
        self._waiting: dict[Key, Alert] = {}
        self._delivered: set[Key] = set()
        self._suppressed = 0

    def is_firing(self, key: Key) -> bool:
        """Whether the alert of this condition was delivered or waits."""
        return key in self._delivered or key in self._waiting

    def fire(self, key: Key, alert: Alert) -> None:
        """Let an alert wait for `send`; does nothing if that of its condition was delivered.

        An earlier alert of the condition that still waits is replaced.
        """
        if key in self._delivered:
            self._withdraw(key)  # that it has recovered
        else:
            self._waiting[key] = alert

    def resolve(self, key: Key, recovered: Alert | None = None) -> None:
        """Note that a condition is over.

        Args:
            key: The condition.
            recovered: The alert that says so; delivered only if the one before it was.
        """
        if recovered is not None and key in self._delivered:
            self._waiting[key] = recovered
        else:
            self._delivered.discard(key)
            self._withdraw(key)

    def send(self) -> None:
        """Deliver what waits, as far as there is room."""
        begun = now = monotonic()
        while self._waiting and now - begun < _SEND_SECONDS and self._has_room(now):
            key = next(iter(self._waiting))
            alert = self._waiting.pop(key)
            if alert.kind == "recovered":
                self._delivered.discard(key)
            else:
                self._delivered.add(key)
            self._sent.append(now)
            suppressed, self._suppressed = self._suppressed, 0
            self._deliver(alert._replace(suppressed=suppressed))
            now = monotonic()

    def _has_room(self, now: float) -> bool:
        sent = self._sent
        while sent and now - sent[0] >= _MINUTE:
            sent.popleft()
        return len(sent) < self._per_minute

    def _withdraw(self, key: Key) -> None:
        if self._waiting.pop(key, None) is not None:
            self._suppressed += 1
