"""Finds the compiled hot path, where this installation has it."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["IS_TURNED_OFF", "PURE_PYTHON", "load_speed"]

PURE_PYTHON: Final = "OTEL_EXT_PURE_PYTHON"
"""The environment variable that turns the compiled part off."""

IS_TURNED_OFF: Final = os.environ.get(PURE_PYTHON, "").strip().lower() in {"1", "true", "yes", "on"}
"""Whether the environment does so; looked at once, so that no process is half compiled."""


@cache
def load_speed() -> ModuleType | None:
    """Return `otel_ext._speed`, or None where it was not built or must not be used.

    An interpreter that runs without its lock would turn the lock on for a module
    that relies on it; there the Python code serves. So it does in every interpreter
    beside the main one, which the module refuses by an `ImportError`. Where it is missing
    each import would search the whole path again, the first span's among them.
    """
    if IS_TURNED_OFF or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    try:
        from otel_ext import _speed  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return _speed
