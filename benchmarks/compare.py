"""Compares the figures of the last run of the benchmarks with those of an earlier one.

python benchmarks/compare.py [--results FOLDER] [--against FILE] [--all]

Exits with 1 if a figure is worse, with 2 if there is nothing to compare. Less is better in all
figures. A figure is worse if the middle halves of both runs do not overlap, and the medians differ
by more than a share that depends on the sort of figure: what is counted hardly varies.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if __name__ == "__main__":
    # As a program, this file's own folder stands first on the path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.published import FILE, Published, read_published
from benchmarks.result import SHORT_RUN, from_json
from benchmarks.shapes import FAILING_SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.figures import Figure

__all__ = ["Change", "compare", "main", "read_results"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_PUBLISHED: Final = f"docs/benchmarks/{FILE}"
_MACHINE: Final = "machine.json"
# In a key: the figure is an amount, which says nothing on another machine.
_AMOUNT: Final = re.compile(r"(?:^|, )(?:ns|µs|ms|s|KB|MiB)\b")
# Two runs of the same code have differed by 7 %: where things lie in memory decides what the
# interpreter's caches miss. A span with an exception is larger, so this is more of what is added.
_COUNTED_SHARE: Final = 0.08
_TIMED_SHARE: Final = 0.10
_SINGLE_SHARE: Final = 0.25
_LEAST_POINTS: Final = 1.0
# What makes amounts comparable if it is the same.
_SAME: Final = ("processor", "memory")
_NOTED: Final = (*_SAME, "Python", "opentelemetry-sdk")


class Change(NamedTuple):
    """A figure in both runs.

    Attributes:
        measure: Its measure.
        key: Its key.
        before: In the earlier run.
        now: In the later one.
        verdict: `worse`, `better`, `same`, or `other machine` if the two cannot be compared.
    """

    measure: str
    key: str
    before: Figure
    now: Figure
    verdict: str


def compare(before: Published, now: Published) -> list[Change]:
    """Return the figures that both runs have, with verdicts.

    Raises:
        ValueError: They have none in common.

    >>> from benchmarks.figures import Figure
    >>> def run(value):
    ...     return Published({}, {("span_cost", "cpu"): Figure(value, value, value, 9)})
    >>> [compare(run(1.0), run(value))[0].verdict for value in (1.05, 1.2, 0.8)]
    ['same', 'worse', 'better']
    """
    one_machine = all(before.machine.get(name) == now.machine.get(name) for name in _SAME)
    changes = [
        Change(*at, old, new, _verdict(*at, old, new, one_machine=one_machine))
        for at, new in now.figures.items()
        if (old := before.figures.get(at)) is not None
    ]
    if not changes:
        raise ValueError("the two runs have no figure in common")
    return changes


def _verdict(measure: str, key: str, before: Figure, now: Figure, *, one_machine: bool) -> str:
    if _AMOUNT.search(key) and not one_machine:
        return "other machine"
    least = _share(measure, key, before, now) * abs(before.value)
    if key.endswith("%"):
        least = max(least, _LEAST_POINTS)
    if now.low > before.high and now.value - before.value > least:
        return "worse"
    return "better" if now.high < before.low and before.value - now.value > least else "same"


def _share(measure: str, key: str, before: Figure, now: Figure) -> float:
    """Return by which share two medians may differ."""
    if measure == "instructions":
        is_small = key.endswith("caller, instructions") and FAILING_SHAPE not in key
        return _COUNTED_SHARE if is_small else _TIMED_SHARE
    # One value has no spread that could be compared.
    return _SINGLE_SHARE if min(before.rounds, now.rounds) == 1 else _TIMED_SHARE


def read_results(folder: Path) -> Published:
    """Return the figures that `make bench` has left in a folder.

    Raises:
        ValueError: There are none, or they are those of a short run.
    """
    paths = [path for path in sorted(folder.glob("*.json")) if path.name != _MACHINE]
    figures: dict[tuple[str, str], Figure] = {}
    for path in paths:
        try:
            result = from_json(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is not the result of a measure: {error!r}") from error
        if SHORT_RUN in result.notes:
            raise ValueError(f"{path} is of a short run, which has no figures: run `make bench`")
        figures |= {(result.name, key): one for key, one in result.figures.items()}
    if not figures:
        raise ValueError(f"{folder} has no results: run `make bench`, which takes an hour")
    facts = folder / _MACHINE
    return Published(json.loads(facts.read_text("utf-8")) if facts.is_file() else {}, figures)


def _read_earlier(path: Path | None) -> Published:
    """Read a file; without one, the published figures as they are committed."""
    if path is not None:
        try:
            return read_published(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be compared with: {error}") from error
    # `make bench` has written the file in the tree, so that is the run itself.
    command = ["git", "-C", str(_ROOT), "show", f"HEAD:{_PUBLISHED}"]
    shown = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - as it says
    if shown.returncode:
        raise ValueError(
            f"{_PUBLISHED} is not committed: commit what `make bench` writes, or name another"
            " file, as in `make bench-compare AGAINST=results.json`"
        )
    return read_published(shown.stdout.decode())


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"


def _row(change: Change) -> list[str]:
    moved = f"{100 * (change.now.value / change.before.value - 1):+.1f} %" * bool(
        change.before.value
    )
    shown = [change.before.show(), change.now.show(), moved]
    return [change.verdict, change.measure, change.key, *shown]


def _describe(before: Published, now: Published, changes: list[Change]) -> str:
    lines = [
        f"{name}: {before.machine.get(name)} then, {now.machine.get(name)} now\n"
        for name in _NOTED
        if before.machine.get(name) != now.machine.get(name)
    ]
    counts = {one.verdict: 0 for one in changes}
    for one in changes:
        counts[one.verdict] += 1
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + "\n")
    if gone := len(before.figures.keys() - now.figures.keys()):
        lines.append(f"not measured now: {gone}\n")
    return "".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures that changed; return 1 if one is worse, 2 if there are none to compare."""
    parser = argparse.ArgumentParser(description="Compare two runs of the benchmarks.")
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.add_argument("--against", type=Path, help="default: the committed figures")
    parser.add_argument("--all", action="store_true", help="also figures that did not change")
    options = parser.parse_args(arguments)
    try:
        now, before = read_results(options.results), _read_earlier(options.against)
        changes = compare(before, now)
    except ValueError as error:
        sys.stderr.write(f"nothing to compare: {error}\n")
        return 2
    order = ["worse", "better", *(["same", "other machine"] if options.all else [])]
    rows = [_row(one) for verdict in order for one in changes if one.verdict == verdict]
    if rows:
        head = ["", "measure", "figure", "before", "now", "change"]
        sys.stdout.writelines(_table([head, *rows]))
    sys.stdout.write(_describe(before, now, changes))
    return 1 if any(one.verdict == "worse" for one in changes) else 0


if __name__ == "__main__":
    sys.exit(main())
