"""What tests measure, told below the results of the whole run."""

from __future__ import annotations

__all__ = ["report_figures", "take_figures"]

_told: list[str] = []


def report_figures(name: str, **values: object) -> None:
    """Tell what was measured to whoever reads the summary of the run."""
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items())
    _told.append(f"{name}: {told}")


def take_figures() -> list[str]:
    """Return what was told since the last call."""
    taken = _told.copy()
    _told.clear()
    return taken
