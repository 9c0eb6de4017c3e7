"""`RetryDelay`: how long a batch that failed waits before the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.protocols import SignalSender

if TYPE_CHECKING:
    from otel_ext.protocols import RecordSender

__all__ = ["RetryDelay", "retry_delays_for"]

_INITIAL_INTERVAL: Final = 0.5
_MAX_INTERVAL: Final = 30.0
_MAX_RETRY_AFTER: Final = 3_600.0
_DOUBLINGS: Final = 10


class RetryDelay:
    """A delay that doubles with each failure; times are seconds of one monotonic clock.

    >>> delay = RetryDelay()
    >>> delay.start(100.0, 0.0), delay.start(100.0, 0.0)
    (0.5, 1.0)
    >>> delay.is_over(100.9), delay.is_over(100.9, is_flush=True), delay.is_over(101.0)
    (False, True, True)
    """

    __slots__ = ("_failures", "_retry_after_until", "_until")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Note a success: there is no delay."""
        self._failures = 0
        self._until = 0.0
        self._retry_after_until = 0.0

    def start(self, now: float, retry_after: float) -> float:
        """Note a failure; return the delay in seconds.

        Args:
            now: The time.
            retry_after: Seconds that the destination asks for (`Retry-After`); 0 for none.
        """
        self._failures += 1
        seconds = min(_INITIAL_INTERVAL * 2.0 ** min(self._failures - 1, _DOUBLINGS), _MAX_INTERVAL)
        self._until = now + seconds
        self._retry_after_until = now + min(retry_after, _MAX_RETRY_AFTER)
        return seconds

    def is_over(self, now: float, *, is_flush: bool = False) -> bool:
        """Whether the next try may be made.

        Args:
            now: The time.
            is_flush: Whether only the delay that the destination asked for counts.
        """
        return now >= self._retry_after_until and (is_flush or now >= self._until)


def retry_delays_for(sender: RecordSender) -> dict[bool, RetryDelay]:
    """Return the delays of final records (True) and of events (False): one each, or one for both.

    If the sender has several signals, events that fail do not delay final records.

    Args:
        sender: Sends both kinds.
    """
    finals = RetryDelay()
    apart = isinstance(sender, SignalSender) and len(sender.signals) > 1
    return {True: finals, False: RetryDelay() if apart else finals}
