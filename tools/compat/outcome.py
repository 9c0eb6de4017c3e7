"""The outcomes of a suite's tests, with us and without, and how they differ."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
MISSING: Final = "not run"
WHOLE: Final = "(the whole run)"


class Outcome(NamedTuple):
    """One run of a suite.

    Attributes:
        tests: The outcome of each test, by its name.
        seconds: How long the run took.
        spans: How many starts our processor recorded; 0 in a run without us.
        problem: Why the run has no result or only a part of it, or "".
    """

    tests: Mapping[str, str]
    seconds: float
    spans: int = 0
    problem: str = ""

    def of(self, test: str) -> str:
        """Return the outcome of `test`."""
        if test == WHOLE:
            return FAILED if self.problem else PASSED
        return self.tests.get(test, MISSING)

    def counts(self) -> dict[str, int]:
        """Return how many tests passed, failed and were skipped."""
        counted = Counter(self.tests.values())
        return {kind: counted[kind] for kind in (PASSED, FAILED, SKIPPED)}


class Difference(NamedTuple):
    """A test whose outcome differed between the first run with us and the first without.

    Attributes:
        test: Its name.
        without: Its outcomes in the runs without us.
        ours: Its outcomes in the runs with us.
    """

    test: str
    without: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def is_unstable_upstream(self) -> bool:
        """Whether the outcome of the test varies without us too."""
        return len(set(self.without)) > 1


def outcomes_in(report: Path) -> dict[str, str]:
    """Return the outcome of each test in a JUnit report; the worst if several share a name.

    Args:
        report: The file that pytest wrote.
    """
    found: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            found[name] = FAILED
        elif "skipped" in kinds:
            found.setdefault(name, SKIPPED)
        elif found.get(name) != FAILED:
            found[name] = PASSED
    return found


def unequal(without: Outcome, ours: Outcome) -> frozenset[str]:
    """Return the names of the tests whose outcomes differ between the two runs.

    Examples:
        >>> sorted(unequal(Outcome({"a": "passed", "b": "failed"}, 1), Outcome({"a": "passed"}, 1)))
        ['b']
    """
    names = {*without.tests, *ours.tests, WHOLE}
    return frozenset(name for name in names if without.of(name) != ours.of(name))


def differences(runs: Sequence[tuple[Outcome, Outcome]]) -> tuple[Difference, ...]:
    """Return the tests that differ in the first pair of runs, with their outcomes in all.

    Args:
        runs: Pairs of a run without us and one with us.
    """
    return tuple(
        Difference(
            name,
            tuple(without.of(name) for without, _ in runs),
            tuple(ours.of(name) for _, ours in runs),
        )
        for name in sorted(unequal(*runs[0]))
    )
