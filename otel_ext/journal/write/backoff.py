"""Decides when a journal whose file cannot be written tries again."""

from __future__ import annotations

from time import monotonic
from typing import Final

__all__ = ["Backoff"]

_FIRST_BACKOFF: Final = 0.1
_MAX_BACKOFF: Final = 1.0


class Backoff:
    """The current problem with the file, and when to try again, with growing delays.

    >>> backoff = Backoff()
    >>> backoff.record_failure(OSError("no room")), backoff.record_failure(OSError("no room"))
    (True, False)
    >>> backoff.problem, backoff.must_wait(monotonic()), backoff.record_success()
    ('no room', True, True)
    """

    def __init__(self) -> None:
        self.problem = ""
        self._backoff = _FIRST_BACKOFF
        self._retry_at = 0.0

    def must_wait(self, now: float) -> bool:
        """Return whether it is too early to try again."""
        return now < self._retry_at

    def retry_now(self) -> None:
        """Make the next try due at once, because a caller waits for it."""
        self._retry_at = 0.0

    def record_failure(self, error: OSError) -> bool:
        """Set the problem and the next try; return whether the file worked before."""
        is_first = not self.problem
        if is_first:
            self._backoff = _FIRST_BACKOFF
        self.problem = str(error)
        self._retry_at = monotonic() + self._backoff
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF)
        return is_first

    def record_success(self) -> bool:
        """Clear the problem; return whether there was one."""
        was, self.problem = self.problem, ""
        return bool(was)
