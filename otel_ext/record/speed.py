"""Finds the compiled hot path, where this installation has it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load_speed"]


def load_speed() -> ModuleType | None:
    """Return `otel_ext._speed`, or None where it was not built or must not be used.

    An interpreter that runs without its lock would turn the lock on for a module
    that relies on it; there the Python code serves.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    try:
        from otel_ext import _speed  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return _speed
