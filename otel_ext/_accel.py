"""Chooses between the compiled functions of `otel_ext._speed` and the Python ones.

Only redaction's prefilter asks which of them serve, since the two search in different ways.
What the compiled part is, and why it may be missing:
docs/adr/0006-the-common-path-is-compiled.md.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from otel_ext.settings.truth import is_true

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = [
    "PURE_PYTHON",
    "REINSTALL",
    "bind",
    "choose",
    "configure",
    "load_speed",
    "no_parts",
    "why_pure",
]

Function = TypeVar("Function", bound="Callable[..., object]")

PURE_PYTHON: Final = "OTEL_EXT_PURE_PYTHON"
"""The environment variable that turns the compiled part off."""

REINSTALL: Final = "pip install --force-reinstall --no-deps ."
"""The command that installs a checkout again."""
_TURNED_OFF: Final = is_true(PURE_PYTHON)


@cache
def _load() -> tuple[ModuleType | None, tuple[str, str] | None]:
    # Cached, because each import of a missing module would search the whole path again, for
    # the first span too; and so that no process mixes both kinds.
    if _TURNED_OFF:
        return None, (
            f"{PURE_PYTHON} turns the compiled one off",
            f"Unset {PURE_PYTHON} to have it back.",
        )
    if "free-threading" in sys.version:
        # It relies on the lock of the interpreter; its import would enable that lock.
        return None, (
            "the compiled one does not serve free-threaded Python",
            "Only a build of Python with the lock of the interpreter (GIL) has it.",
        )
    try:
        import otel_ext._speed as speed  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        return None, (
            "the compiled one was not built",
            f"In a checkout, with a C compiler and Python's headers: {REINSTALL}",
        )
    except ImportError as error:  # in a subinterpreter, or it is damaged
        return None, (f"the compiled one cannot be used here: {error}", "Reinstall otel-ext.")
    return speed, None


def load_speed() -> ModuleType | None:
    """Return `otel_ext._speed`, or None if it was not built or must not be used."""
    return _load()[0]


def why_pure() -> tuple[str, str] | None:
    """Return why the Python functions serve, and a way out; None if the compiled ones do."""
    return _load()[1]


def choose(name: str, python: Function) -> Function:
    """Return a compiled function, or the Python one that does the same.

    Args:
        name: The name of the compiled function.
        python: The Python one.
    """
    speed = load_speed()
    chosen: Function = python if speed is None else getattr(speed, name)
    return chosen


def bind(name: str, python: Function, *target: object, **parts: object) -> Function:
    """Return a compiled method, or the Python one that does the same.

    Args:
        name: The name of the compiled function that makes such a method.
        python: The Python method.
        target: The object that has the method.
        parts: Instead of the object, what the compiled method needs of it, by name.
    """
    speed = load_speed()
    bound: Function = python if speed is None else getattr(speed, name)(*target, **parts)
    return bound


def no_parts(**_parts: object) -> object | None:
    """Return None: without the compiled part there is nothing to prepare for it."""
    return None


def configure(name: str, *values: object, **options: object) -> None:
    """Pass to the compiled part what it needs of a module; no effect without it.

    Args:
        name: The name of the compiled function that takes it.
        values: Its arguments by position.
        options: Its arguments by name.
    """
    speed = load_speed()
    if speed is not None:
        getattr(speed, name)(*values, **options)
