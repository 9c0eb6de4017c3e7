"""The figures of a whole run in one small file, which later runs are compared with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.result import Result

__all__ = ["FILE", "Published", "read_published", "write_published"]

FILE: Final = "results.json"
"""The name of the file, beside the report."""

_DIGITS: Final = 6


class Published(NamedTuple):
    """The figures of a run.

    Attributes:
        machine: What they were measured on, as names and values.
        figures: By measure and key.
    """

    machine: dict[str, str]
    figures: dict[tuple[str, str], Figure]


def write_published(
    results: Iterable[Result], machine: Iterable[tuple[str, str]], folder: Path
) -> Path:
    """Write the figures, one in a line, and return the file's path."""
    measures = [
        f"  {_dump(result.name)}: {{\n{_lines(result.figures)}\n  }}"
        for result in results
        if result.figures
    ]
    facts = json.dumps(dict(machine), indent=2, ensure_ascii=False).replace("\n", "\n ")
    text = f'{{\n "machine": {facts},\n "measures": {{\n'
    path = folder / FILE
    path.write_text(text + ",\n".join(measures) + "\n }\n}\n", encoding="utf-8")
    return path


def _lines(figures: dict[str, Figure]) -> str:
    return ",\n".join(
        f"    {_dump(key)}: {_dump([*map(_rounded, one[:3]), one.rounds])}"
        for key, one in figures.items()
    )


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def read_published(text: str) -> Published:
    """Return what `write_published` has written.

    Raises:
        ValueError: `text` is something else.
    """
    try:
        plain = cast("dict[str, dict[str, dict[str, list[float]]]]", json.loads(text))
        figures = {
            (measure, key): Figure(float(value), float(low), float(high), int(rounds))
            for measure, found in plain["measures"].items()
            for key, (value, low, high, rounds) in found.items()
        }
        machine = {name: str(value) for name, value in plain["machine"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not the figures of a run: {error!r}") from error
    return Published(machine, figures)
