"""The result of a measure: figures, tables and charts, convertible to JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, cast

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SHORT_RUN", "Chart", "Result", "Table", "from_json", "to_json"]

SHORT_RUN: Final = "Measured in a short run, of few rounds."
"""The note of a result that has no figures worth comparing."""


@dataclass
class Table:
    """Rows of text under a title."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass
class Chart:
    """A picture: grouped bars, or lines over the labels as numbers on a log-log scale.

    Attributes:
        name: The file's name without its ending.
        title: The heading above it.
        unit: The unit of the values.
        labels: Names of the groups of bars, or the values on the x axis.
        series: By name, one value for each label.
        lines: Whether lines are drawn instead of bars.
        log: Whether the values have a logarithmic scale.
    """

    name: str
    title: str
    unit: str
    labels: list[str]
    series: dict[str, list[float]]
    lines: bool = False
    log: bool = False


@dataclass
class Result:
    """All that one measure found.

    Attributes:
        name: The module's name.
        title: The heading.
        about: What was measured and how.
        figures: Medians with spreads by key, for the table of targets.
        notes: Sentences below the tables: what was left out, what was dropped.
    """

    name: str
    title: str
    about: str
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    tables: list[Table] = field(default_factory=list[Table])
    charts: list[Chart] = field(default_factory=list[Chart])
    notes: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


def to_json(result: Result) -> dict[str, object]:
    """Return `result` as data that JSON can represent."""
    plain = asdict(result)
    plain["figures"] = {key: figure._asdict() for key, figure in result.figures.items()}
    return plain


def from_json(plain: Mapping[str, object]) -> Result:
    """Return the result that `to_json` converted.

    >>> made = Result("x", "X", "about", {"k": Figure(1.0, 0.5, 2.0, 3)}, [Table("t", [], [])])
    >>> from_json(to_json(made)) == made
    True
    """
    fields = dict(plain)
    figures = cast("dict[str, dict[str, float]]", fields.pop("figures"))
    tables = cast("list[dict[str, object]]", fields.pop("tables"))
    charts = cast("list[dict[str, object]]", fields.pop("charts"))
    return Result(
        **fields,  # type: ignore[arg-type]
        figures={
            key: Figure(one["value"], one["low"], one["high"], int(one["rounds"]))
            for key, one in figures.items()
        },
        tables=[Table(**table) for table in tables],  # type: ignore[arg-type]
        charts=[Chart(**chart) for chart in charts],  # type: ignore[arg-type]
    )
