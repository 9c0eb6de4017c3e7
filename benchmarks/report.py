"""Writes the report: Markdown tables, with the charts beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.charts import draw_charts
from benchmarks.targets import judgements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.result import Result, Table

__all__ = ["markdown", "write_report"]

_HOW = """\
Made by `make bench`; do not edit this page. The benchmarks measure all peers side by side on
one machine, in turn, and take each ratio within a round. Figures are medians, with the
quartiles over the rounds in brackets. Processor time is that of all threads. `benchmarks/` has
one module for each measure. Figures of one machine say little about another: ratios are more
comparable than microseconds. [The figures behind the decisions](decisions.md) are on a page
of their own.
"""


def _table(table: Table) -> list[str]:
    head = [_row(table.columns), _row(["---"] * len(table.columns))]
    return [*head, *map(_row, table.rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def markdown(
    results: Sequence[Result],
    machine: Sequence[tuple[str, str]],
    charts: Sequence[str] = (),
    remark: str = "",
) -> str:
    """Return the report as Markdown.

    Args:
        results: In the order of the report.
        machine: Names and values that describe what it was measured on.
        charts: Names of the charts that were drawn.
        remark: A sentence below the heading, such as that the run was a short one.
    """
    lines = ["# Benchmarks", "", _HOW]
    lines += [f"**{remark}**", ""] if remark else []
    lines += ["## Targets", "", *_table(judgements(results))]
    for result in results:
        lines += [f"## {result.title}", "", result.about, ""]
        for table in result.tables:
            lines += [f"**{table.title}**", "", *_table(table)]
        lines += [note + "\n" for note in result.notes]
        for chart in result.charts:
            if f"{chart.name}.png" in charts:
                lines += [f"![{chart.title}]({chart.name}.png)", ""]
    lines += ["## Machine and versions", ""]
    lines += [_row(["", ""]), _row(["---", "---"]), *map(_row, machine), ""]
    return "\n".join(lines)


def write_report(
    results: Sequence[Result],
    machine: Sequence[tuple[str, str]],
    folder: Path,
    remark: str = "",
) -> Path:
    """Write `index.md` and the charts into `folder` and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    charts = draw_charts([chart for result in results for chart in result.charts], folder)
    page = folder / "index.md"
    page.write_text(markdown(results, machine, charts, remark), encoding="utf-8")
    return page
