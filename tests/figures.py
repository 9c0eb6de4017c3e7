"""Collects what tests measure, for the summary of the run."""

from __future__ import annotations

__all__ = ["report_figures", "take_figures"]

_lines: list[str] = []


def report_figures(name: str, **values: object) -> None:
    """Add a line with measured values to the summary of the run."""
    line = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items())
    _lines.append(f"{name}: {line}")


def take_figures() -> list[str]:
    """Return the lines since the last call, and forget them."""
    taken = _lines.copy()
    _lines.clear()
    return taken
