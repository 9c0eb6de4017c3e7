"""Draws charts as PNG files, where matplotlib is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.result import Chart

__all__ = ["draw_charts"]

_OURS: Final = ("#0b6e4f", "#2f8f6b", "#5fb894", "#8fd3b6", "#c8e9da")
_OTHERS: Final = ("#4c566a", "#7b88a1", "#a3acbd", "#c4cad6", "#d9dde5", "#2e3440")


def draw_charts(charts: Iterable[Chart], folder: Path) -> list[str]:
    """Draw each chart into `folder` and return the names of the files.

    Without matplotlib (the extra `bench`) nothing is drawn.
    """
    if find_spec("matplotlib") is None:
        return []
    import_module("matplotlib").use("Agg")
    plot = import_module("matplotlib.pyplot")
    plot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    names: list[str] = []
    for chart in charts:
        figure, axes = plot.subplots(figsize=(8, 4), layout="constrained")
        (_lines if chart.lines else _bars)(axes, chart)
        axes.set_title(chart.title, loc="left", fontweight="bold")
        axes.set_ylabel(chart.unit)
        axes.grid(visible=True, axis="y", color="#e5e9f0", linewidth=0.8)
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7)
        name = f"{chart.name}.png"
        figure.savefig(folder / name, dpi=110, metadata={"Software": None})
        plot.close(figure)
        names.append(name)
    return names


def _colors(names: Iterable[str]) -> dict[str, str]:
    """Return a color for each name: greens for otel-ext, greys for the others."""
    ours, others = iter(_OURS), iter(_OTHERS)
    return {name: next(ours if "otel-ext" in name else others) for name in names}


def _bars(axes: Any, chart: Chart) -> None:  # noqa: ANN401 - matplotlib is optional
    colors = _colors(chart.series)
    width = 0.8 / len(chart.series)
    for number, (name, values) in enumerate(chart.series.items()):
        at = [group - 0.4 + width * (number + 0.5) for group in range(len(chart.labels))]
        drawn = axes.bar(at, values, width * 0.95, label=name, color=colors[name])
        axes.bar_label(drawn, fmt="%.3g", fontsize=6, padding=1, rotation=90)
    axes.set_xticks(range(len(chart.labels)), chart.labels)
    axes.margins(y=0.15)
    if chart.log:
        axes.set_yscale("log")


def _lines(axes: Any, chart: Chart) -> None:  # noqa: ANN401 - matplotlib is optional
    for (name, values), style in zip(chart.series.items(), ("-o", "-s", "-^", "-d"), strict=False):
        axes.plot([float(label) for label in chart.labels], values, style, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("records")
    if chart.log:
        axes.set_yscale("log")
