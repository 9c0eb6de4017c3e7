"""One key of a configuration file, whatever language the file is in."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Entry"]


class Entry(NamedTuple):
    """One key of a file with its value and line (from 1; None where not known)."""

    key: str
    value: object
    line: int | None
