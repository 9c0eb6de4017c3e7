"""Counters of records accepted, written and dropped, without locks.

`itertools.count` advances in one step of the interpreter, so a counter needs no
lock: a signal handler or a finalizer may count in the middle of another count.
"""

from __future__ import annotations

from collections import deque
from itertools import count, islice
from typing import Final

__all__ = ["BUFFER_PEAK", "COUNTERS", "Counters"]

BUFFER_PEAK: Final = "journal.buffer_peak"
"""The fullest that the ring buffer has been, in per cent of `ring-size`."""


def _value(counter: count[int]) -> int:
    # `repr` is the one public way to read a count without advancing it.
    return int(repr(counter)[6:-1])


class Counters:
    """Named counters that only grow.

    >>> counters = Counters()
    >>> counters.add("dropped.queue_full")
    >>> counters.add("dropped.queue_full", 2)
    >>> counters.value("dropped.queue_full"), counters.value("never")
    (3, 0)
    >>> counters.dropped()
    {'queue_full': 3}
    """

    def __init__(self) -> None:
        self._counts: dict[str, count[int]] = {}

    def add(self, name: str, amount: int = 1) -> None:
        """Advance the counter `name` by `amount`."""
        counter = self._counts.get(name)
        if counter is None:
            counter = self._counts.setdefault(name, count())
        if amount == 1:
            next(counter)
        else:
            deque(islice(counter, amount), maxlen=0)  # a loop in C, not in Python

    def raise_to(self, name: str, value: int) -> None:
        """Advance the counter `name` to `value` if it is lower; for one thread at a time.

        >>> counters = Counters()
        >>> counters.raise_to("peak", 7), counters.raise_to("peak", 3), counters.value("peak")
        (None, None, 7)
        """
        missing = value - self.value(name)
        if missing > 0:
            self.add(name, missing)

    def counter(self, name: str) -> count[int]:
        """Return the counter `name` itself, for hot paths: `next` advances it by one.

        Its steps are lost once the counters are reset.

        >>> counters = Counters()
        >>> accept = counters.counter("accepted").__next__
        >>> _ = accept(), accept()
        >>> counters.value("accepted")
        2
        """
        return self._counts.setdefault(name, count())

    def value(self, name: str) -> int:
        """Return the value of the counter `name`; 0 if it never moved."""
        counter = self._counts.get(name)
        return 0 if counter is None else _value(counter)

    def snapshot(self) -> dict[str, int]:
        """Return all counters by name."""
        return {name: _value(counter) for name, counter in sorted(self._counts.copy().items())}

    def dropped(self) -> dict[str, int]:
        """Return the counters under `dropped.`, by reason."""
        return {
            name.removeprefix("dropped."): value
            for name, value in self.snapshot().items()
            if name.startswith("dropped.")
        }

    def reset(self) -> None:
        """Set every counter to 0, as in a forked child; only swaps the object inside."""
        self._counts = {}


COUNTERS: Final = Counters()
"""The counters of this process."""
