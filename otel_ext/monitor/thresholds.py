"""`Thresholds`: how long each operation may take, fixed or learned from how long it took."""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.settings.limits import check_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Thresholds"]

_MOST_OPERATIONS: Final = 1_000
_MOST_SAMPLES: Final = 512
# After so many new durations, a learned threshold is calculated again.
_LEARN_EVERY: Final = 32
_WHOLE: Final = 100
# What is longer, also infinity, never ends: thirty years in nanoseconds.
_LONGEST: Final = 10**18


class _Learned:
    """The durations of one operation, and what follows from them."""

    __slots__ = ("durations", "since", "threshold_ns")

    def __init__(self) -> None:
        self.durations: deque[int] = deque(maxlen=_MOST_SAMPLES)
        self.since = 0
        self.threshold_ns = 0


class Thresholds:
    """How long each operation may take.

    Args:
        seconds: By the name of an operation, or a pattern with `*`, how long it may take. The
            first that matches counts, and it counts before what is learned.
        percentile: Learn thresholds: what so many in a hundred of the last durations did not
            exceed. Above 0, below 100; None to learn nothing.
        factor: How many times the percentile an operation may take.
        least_samples: How many durations are needed first, at most 512.

    Raises:
        ConfigError: A value is out of its range.

    >>> thresholds = Thresholds({"db.*": 0.5}, percentile=90, factor=2, least_samples=10)
    >>> thresholds.of("db.query"), thresholds.of("render")
    (500000000, None)
    >>> for milliseconds in range(1, 11):
    ...     thresholds.learn("render", milliseconds * 1_000_000)
    >>> thresholds.of("render")
    18000000
    """

    def __init__(
        self,
        seconds: Mapping[str, float] | None = None,
        *,
        percentile: float | None = None,
        factor: float = 1.5,
        least_samples: int = 100,
    ) -> None:
        for name, value in (seconds or {}).items():
            check_limit(f"seconds[{name!r}]", value, is_whole=False)
        if percentile is not None:
            check_limit("percentile", percentile, is_whole=False)
            if not percentile < _WHOLE:
                raise ConfigError(
                    f"percentile={percentile!r} is out of range", hint="Use a number below 100."
                )
        check_limit("factor", factor, is_whole=False)
        check_limit("least_samples", least_samples)
        self._fixed = {
            name: round(min(value, _LONGEST / 1e9) * 1e9) for name, value in (seconds or {}).items()
        }
        self._percentile = percentile
        self._factor = min(factor, _LONGEST)
        self._least = min(least_samples, _MOST_SAMPLES)
        self._learned: dict[str, _Learned] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no operation can have a threshold yet."""
        return not self._fixed and not self._learned

    def of(self, operation: str) -> int | None:
        """Return how long an operation may take, in nanoseconds; None if that is not known."""
        for pattern, limit in self._fixed.items():
            if pattern == operation or fnmatchcase(operation, pattern):
                return limit
        known = self._learned.get(operation)
        return known.threshold_ns or None if known is not None else None

    def learn(self, operation: str, duration_ns: int) -> None:
        """Take note of how long an operation took; of at most 1,000 operations."""
        if self._percentile is None:
            return
        known = self._learned.get(operation)
        if known is None:
            if len(self._learned) >= _MOST_OPERATIONS:
                return
            known = self._learned[operation] = _Learned()
        known.durations.append(duration_ns)
        known.since += 1
        is_due = known.since >= _LEARN_EVERY or not known.threshold_ns
        if len(known.durations) >= self._least and is_due:
            ordered = sorted(known.durations)
            rank = -(-len(ordered) * self._percentile // _WHOLE)
            known.threshold_ns = round(min(ordered[int(rank) - 1] * self._factor, _LONGEST))
            known.since = 0
