"""`Aggregates`: sums up the events of a window by key; safe on threads and in signal handlers.

An event of a known key costs one step under a lock that is held for no I/O and for no code
of the program: values and keys are plain Python before. Whoever cannot have the lock (a
signal handler or a finalizer that interrupts the thread that holds it) leaves the event in
a bounded list, which is summed up with the window.
"""

from __future__ import annotations

from collections import deque
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.record.model import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from otel_ext.inflight.origin import Origin

    Values: TypeAlias = tuple[tuple[str, float], ...]

__all__ = ["OTHER", "Aggregate", "Aggregates", "Window"]

OTHER: Final = "other"
"""The name of the record for all events beyond the limit of keys."""

_OTHER_KEY: Final = ()
_MOST_MEASUREMENTS: Final = 64
_MOST_LATE: Final = 1_000
# How long a thread waits for another one, in seconds; that one needs microseconds.
_WAIT: Final = 0.05
_TAKE_WAIT: Final = 1.0


class Aggregate:
    """What the events of one key in one window sum up to.

    Attributes:
        name: The events' name.
        metadata: That of the first event.
        origin: Where the first event came from.
        emits: How many events there were.
        numbers: By measurement: count, sum, least, greatest and last value.
    """

    __slots__ = ("emits", "metadata", "name", "numbers", "origin")

    def __init__(self, name: str, metadata: Mapping[str, object], origin: Origin) -> None:
        self.name = name
        self.metadata = metadata
        self.origin = origin
        self.emits = 0
        self.numbers: dict[str, list[float]] = {}

    def add(self, values: Values) -> int:
        """Add one event; return how many of its measurements are left out."""
        left_out = 0
        self.emits += 1
        numbers = self.numbers
        for name, value in values:
            known = numbers.get(name)
            if known is not None:
                known[0] += 1
                known[1] += value
                if value < known[2]:
                    known[2] = value
                elif value > known[3]:
                    known[3] = value
                known[4] = value
            elif len(numbers) < _MOST_MEASUREMENTS:
                numbers[name] = [1, value, value, value, value]
            else:
                left_out += 1
        return left_out

    def measurements(self) -> dict[str, float]:
        """Return the numbers as a record has them, such as `size.sum`.

        >>> from otel_ext.inflight.origin import NOWHERE
        >>> one = Aggregate("cache.miss", {}, NOWHERE)
        >>> one.add((("size", 3),)), one.add((("size", 5),))
        (0, 0)
        >>> one.measurements()["size.sum"], one.measurements()["suppressed"]
        (8, 1)
        """
        found = {
            f"{name}.{what}": value
            for name, numbers in self.numbers.items()
            for what, value in zip(("count", "sum", "min", "max", "last"), numbers, strict=True)
        }
        return {**found, "suppressed": self.emits - 1}


class Window(NamedTuple):
    """The events between two calls of `take`.

    Attributes:
        aggregates: One for each key, in the order of their first events.
        seconds: How long ago the first event came.
        lost: How many events are left out since they could not be kept.
        left_out: How many measurements are left out, of events with too many of them.
    """

    aggregates: list[Aggregate]
    seconds: float
    lost: int
    left_out: int


class Aggregates:
    """Sums up events until they are taken.

    Args:
        max_keys: How many keys one window has; further ones share one aggregate, `OTHER`.
    """

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self.reset()

    def reset(self) -> None:
        """Begin without events; only swaps objects, for a forked child."""
        self._lock = RLock()
        self._busy = False
        self._known: dict[Hashable, Aggregate] = {}
        self._late: deque[tuple[Hashable, Values, Aggregate]] = deque()
        self._began = 0.0
        self._lost = 0
        self._left_out = 0

    def add(self, key: Hashable, values: Values) -> bool:
        """Add an event if its key is known and the lock is free; return whether it was added.

        Args:
            key: Of plain values.
            values: Names and finite numbers, of exact types.
        """
        lock = self._lock
        if not lock.acquire(False):  # noqa: FBT003 - by name it takes twice as long
            return False
        if self._busy:
            lock.release()
            return False
        try:
            self._busy = True
            known = self._known.get(key)
            if known is None:
                return False
            if left_out := known.add(values):
                self._left_out += left_out
            return True
        finally:
            self._busy = False
            lock.release()

    def add_first(self, key: Hashable, values: Values, make: Callable[[], Aggregate]) -> None:
        """Add an event that `add` has refused.

        Args:
            key: As for `add`.
            values: As for `add`.
            make: Returns an empty aggregate for the key.
        """
        if len(self._known) >= self._max_keys and self.add(_OTHER_KEY, values):
            return
        made = make()
        lock = self._lock
        if not lock.acquire(timeout=_WAIT):
            self._keep_late(key, values, made)
            return
        if self._busy:  # this thread holds the lock further up
            lock.release()
            self._keep_late(key, values, made)
            return
        try:
            self._busy = True
            self._add_to(self._known, key, values, made)
        finally:
            self._busy = False
            lock.release()

    def _add_to(
        self, known: dict[Hashable, Aggregate], key: Hashable, values: Values, made: Aggregate
    ) -> None:
        if not known:
            self._began = monotonic()
        if key not in known and len(known) >= self._max_keys:
            key = _OTHER_KEY
            made.name, made.metadata = OTHER, EMPTY
        self._left_out += known.setdefault(key, made).add(values)

    def _keep_late(self, key: Hashable, values: Values, made: Aggregate) -> None:
        if len(self._late) < _MOST_LATE:
            self._late.append((key, values, made))
        else:
            self._lost += 1

    def take(self) -> Window:
        """Return what has been added since the last call; nothing if another thread hangs."""
        lock = self._lock
        if not lock.acquire(timeout=_TAKE_WAIT):
            # Its holder hangs, or Ctrl-C came between two steps and left it held.
            self._lock, self._busy = RLock(), False
            return _NOTHING
        if self._busy:  # a signal handler flushes: the interrupted event comes first
            lock.release()
            return _NOTHING
        try:
            self._busy = True
            late = self._late
            while late:
                self._add_to(self._known, *late.popleft())
            known, self._known = self._known, {}
            lost, self._lost = self._lost, 0
            left_out, self._left_out = self._left_out, 0
            seconds = monotonic() - self._began
        finally:
            self._busy = False
            lock.release()
        return Window(list(known.values()), seconds, lost, left_out)


_NOTHING: Final = Window([], 0.0, 0, 0)
