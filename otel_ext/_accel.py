"""Loads the compiled hot path if this installation has it."""

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
"""Whether it is set; read once, so that no process mixes both kinds."""


@cache
def load_speed() -> ModuleType | None:
    """Return `otel_ext._speed`, or None if it was not built or must not be used.

    A free-threaded interpreter would enable its GIL for this module, so Python code is used
    there; also in subinterpreters, which the module refuses by an `ImportError`. Cached,
    because each import of a missing module would search the whole path again, for the
    first span too.
    """
    if IS_TURNED_OFF or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    try:
        from otel_ext import _speed  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return _speed
