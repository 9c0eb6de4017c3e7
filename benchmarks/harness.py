"""Measures several cases in turn, in one process, in an order that rotates.

Processor time counts all threads of the process, so what a case leaves to a
worker thread is counted too: `drain` finishes it within the measured stretch. The
garbage collector runs before each stretch, and as usual during it.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

__all__ = ["Case", "Cases", "Cost", "Effort", "alternate", "rotations"]


class Effort(NamedTuple):
    """How much is measured: `full` for figures, `quick` for breakage, `tiny` for tests.

    >>> Effort("quick").pick(full=40, quick=3, tiny=1)
    3
    """

    name: str

    def pick(self, *, full: int, quick: int, tiny: int) -> int:
        """Return the number for this effort.

        Raises:
            ValueError: There is no such effort.
        """
        numbers = {"full": full, "quick": quick, "tiny": tiny}
        if self.name not in numbers:
            raise ValueError(f"effort {self.name!r} is not one of {', '.join(numbers)}")
        return numbers[self.name]


class Case(NamedTuple):
    """One thing to measure.

    Attributes:
        name: What tables call it.
        work: Performs the passed number of operations on the caller's thread.
        drain: Waits until other threads have done the work left to them.
        close: Releases what the case holds.
    """

    name: str
    work: Callable[[int], object]
    drain: Callable[[], object] = bool
    close: Callable[[], object] = bool


class Cost(NamedTuple):
    """What one operation took, in nanoseconds.

    Attributes:
        wall: Elapsed time at the caller, without `drain`.
        cpu: Processor time of all threads, with `drain`.
    """

    wall: float
    cpu: float


class Cases:
    """Closes its cases at the end of a `with` block."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._stack = ExitStack()

    def __enter__(self) -> Sequence[Case]:
        for case in self._cases:
            self._stack.callback(case.close)
        return self._cases

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def rotations(count: int, rounds: int) -> Iterator[list[int]]:
    """Yield an order for each round, so that each case comes first, second, ... equally often.

    >>> list(rotations(3, 4))
    [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    """
    for turn in range(rounds):
        yield [(turn + step) % count for step in range(count)]


def measure_once(case: Case, count: int) -> Cost:
    """Measure one stretch of `count` operations."""
    gc.collect()
    cpu, wall = process_time_ns(), perf_counter_ns()
    case.work(count)
    wall = perf_counter_ns() - wall
    case.drain()
    cpu = process_time_ns() - cpu
    return Cost(wall / count, cpu / count)


def alternate(cases: Sequence[Case], *, rounds: int, count: int) -> dict[str, list[Cost]]:
    """Measure all cases in turn, after a warm-up stretch of each.

    Args:
        cases: With different names.
        rounds: Measured stretches of each.
        count: Operations in a stretch.

    Returns:
        By name, the cost in each round; the same round has the same index.

    >>> found = alternate([Case("a", range), Case("b", range)], rounds=3, count=10)
    >>> sorted(found), len(found["a"])
    (['a', 'b'], 3)
    """
    for case in cases:
        measure_once(case, count)
    found: dict[str, list[Cost]] = {case.name: [] for case in cases}
    for order in rotations(len(cases), rounds):
        for index in order:
            case = cases[index]
            found[case.name].append(measure_once(case, count))
    return found
