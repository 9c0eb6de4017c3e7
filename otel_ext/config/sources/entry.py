"""Defines `Entry`, one key of a configuration file, for TOML and YAML alike."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Entry"]


class Entry(NamedTuple):
    """A key of a file with its value and its line (from 1; None if not known)."""

    key: str
    value: object
    line: int | None
