"""Saves and prints the results: a file for each suite, and one table of all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.compat.outcome import FAILED, PASSED, SKIPPED, Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HEAD: Final = ("suite", "needs", "passed, failed, skipped without us", "with us", "spans", "result")


class Result(NamedTuple):
    """The result of a suite's runs.

    Attributes:
        package: The package that carries the tests.
        version: Its version.
        needs: The versions of what its tests need; the instrumented library comes first.
        without: How many tests passed, failed and were skipped in the first run without us.
        ours: The same in the first run with us.
        spans: How many starts our processor recorded in the first run with us.
        seconds: How long all runs of the suite took.
        differences: The tests whose outcomes differ between the two first runs.
        problem: Why the suite could not be run, or "".
    """

    package: str
    version: str
    needs: dict[str, str]
    without: dict[str, int]
    ours: dict[str, int]
    spans: int = 0
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    problem: str = ""

    @property
    def caused_by_us(self) -> tuple[Difference, ...]:
        """The differences that unstable tests do not explain."""
        return tuple(d for d in self.differences if not d.is_unstable_upstream)

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if self.problem:
            return "NOT RUN"
        if self.caused_by_us:
            return f"{len(self.caused_by_us)} DIFFER"
        if not self.without[PASSED]:
            return "NONE PASSES"
        words = ["same"]
        if self.differences:
            words.append(f"{len(self.differences)} unstable without us too")
        if not self.spans:
            words.append("makes no span")
        return "; ".join(words)

    @property
    def is_same(self) -> bool:
        """Whether the suite ran and had the same outcomes with us as without."""
        return self.verdict.startswith("same")

    def as_json(self) -> dict[str, Any]:
        """Return the result for a JSON file."""
        fields = self._asdict()
        fields["differences"] = [difference._asdict() for difference in self.differences]
        return {**fields, "result": self.verdict}


def save(result: Result, folder: Path) -> None:
    """Save a result in `folder`, replacing the suite's previous one."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.as_json(), indent=2)
    (folder / f"{result.package}.json").write_text(text + "\n", "utf-8")


def load(file: Path) -> Result:
    """Return the result that `save` wrote to `file`."""
    fields = json.loads(file.read_text("utf-8"))
    del fields["result"]
    fields["differences"] = tuple(
        Difference(each["test"], tuple(each["without"]), tuple(each["ours"]))
        for each in fields["differences"]
    )
    return Result(**fields)


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table with aligned columns."""
    rows = [HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def details(results: Iterable[Result]) -> str:
    """Return the tests that differ with their outcomes, and why suites could not be run."""
    lines: list[str] = []
    for result in results:
        if result.problem:
            lines.append(f"{result.package}: {result.problem}")
        for each in result.differences:
            kind = "unstable without us too" if each.is_unstable_upstream else "DIFFERS"
            lines += [
                f"{result.package}: {kind}: {each.test}",
                f"    without us: {', '.join(each.without)}; with us: {', '.join(each.ours)}",
            ]
    return "".join(f"{line}\n" for line in lines)


def _row(result: Result) -> tuple[str, ...]:
    return (
        f"{result.package} {result.version}",
        ", ".join(f"{name} {version}" for name, version in result.needs.items()),
        _counts(result.without),
        _counts(result.ours),
        str(result.spans),
        result.verdict,
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(str(counts.get(kind, 0)) for kind in (PASSED, FAILED, SKIPPED))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"
