"""`Numbers`: the sequence numbers of records whose senders do not number them."""

from __future__ import annotations

from hashlib import blake2b
from threading import Lock
from time import time_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Numbers"]

_MICROSECOND: Final = 1_000
_MOST_KNOWN: Final = 1_024


class Numbers:
    """Numbers received records by the time of their arrival, in microseconds since the epoch.

    So the numbers of a run of the server continue above those of the one before, without a
    state on disk, and a JavaScript number can hold them. A request that arrives again soon, since
    its sender did not get the answer, gets the same numbers again: its records are copies.

    One object serves all threads.

    Args:
        clock: Returns the time, nanoseconds since the epoch.

    >>> numbers = Numbers(clock=lambda: 5_000_000)
    >>> numbers.first_of(b"one", 10), numbers.first_of(b"two", 3), numbers.first_of(b"one", 10)
    (5000, 5010, 5000)
    """

    def __init__(self, clock: Callable[[], int] = time_ns) -> None:
        self.clock = clock
        self._lock = Lock()
        self._next = 0
        self._known: dict[tuple[bytes, int], int] = {}

    def first_of(self, body: bytes, count: int) -> int:
        """Return the first of the numbers for the records of a request.

        Args:
            body: The request.
            count: How many numbers it needs.
        """
        key = blake2b(body, digest_size=16).digest(), count
        with self._lock:
            first = self._known.get(key)
            if first is None:
                first = max(self._next, self.clock() // _MICROSECOND)
                self._next = first + count
                if len(self._known) >= _MOST_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[key] = first
            return first
