"""The arithmetic of the benchmarks: medians, spreads, percentiles, ratios by round.

A ratio is taken within each round, where both sides ran under the same load, and
the figure is the median of these ratios; dividing two medians would mix good
rounds of one side with bad rounds of the other.
"""

from __future__ import annotations

from math import ceil, floor
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Figure", "percentile", "ratios", "summarise"]


class Figure(NamedTuple):
    """A median with its spread.

    Attributes:
        value: The median over all rounds.
        low: The lower quartile.
        high: The upper quartile.
        rounds: How many values it is the median of.
    """

    value: float
    low: float
    high: float
    rounds: int

    def show(self, digits: int = 2) -> str:
        """Format it for a table, with the quartiles in brackets.

        >>> Figure(1.25, 1.2, 1.31, 9).show()
        '1.25 (1.20 to 1.31)'
        """
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, interpolated linearly between neighbouring values.

    Args:
        values: At least one value, in any order.
        share: From 0 to 1, such as 0.999.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([5], 0.99)
    (2.5, 5.0)
    """
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    below, above = ordered[floor(at)], ordered[ceil(at)]
    return below + (above - below) * (at - floor(at))


def summarise(values: Sequence[float]) -> Figure:
    """Return median and quartiles of one value for each round.

    >>> summarise([1.0, 9.0, 2.0])
    Figure(value=2.0, low=1.5, high=5.5, rounds=3)
    """
    return Figure(
        float(median(values)), percentile(values, 0.25), percentile(values, 0.75), len(values)
    )


def ratios(
    of: Sequence[float], to: Sequence[float], floor_of_both: Sequence[float] | None = None
) -> Figure:
    """Return the median of the ratios round by round.

    Args:
        of: What is measured, one value for each round.
        to: What it is compared with, in the same rounds.
        floor_of_both: A cost that both sides contain and that is subtracted first,
            such as that of the span itself. A round in which nothing is left to
            compare with is skipped.

    Raises:
        ValueError: No round can be used.

    >>> ratios([12.0, 13.0], [11.0, 12.0], [10.0, 10.0]).value
    1.75
    """
    base = floor_of_both or [0.0] * len(of)
    found = [
        (one - under) / (other - under)
        for one, other, under in zip(of, to, base, strict=True)
        if other > under
    ]
    if not found:
        raise ValueError("no round has anything to compare with")
    return summarise(found)
