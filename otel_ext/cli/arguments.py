"""Kinds of arguments that several subcommands take."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Final

from otel_ext.terminal import printable

__all__ = ["seconds", "whole_number"]

_YEAR: Final = 365 * 86_400.0


def whole_number(text: str, minimum: int = 0) -> int:
    """Return the number that `text` names, for argparse's `type`.

    Args:
        text: What was typed.
        minimum: The smallest number that is allowed.

    Raises:
        ArgumentTypeError: It is not a whole number, or less than that.

    >>> whole_number("12")
    12
    """
    if text.isdecimal() and text.isascii() and int(text) >= minimum:
        return int(text)
    message = f"{printable(text)!r} is not a whole number from {minimum}; give {minimum} or more"
    raise ArgumentTypeError(message)


def seconds(text: str, minimum: float = 0.0, maximum: float = _YEAR) -> float:
    """Return the number of seconds that `text` names, for argparse's `type`.

    Args:
        text: What was typed.
        minimum: The smallest number that is allowed.
        maximum: The largest one; a year if left out.

    Raises:
        ArgumentTypeError: It is not a number, or not in that range.

    >>> seconds("1.5")
    1.5
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if minimum <= value <= maximum:
        return value
    allowed = (
        f"{minimum:g} or more, a year at maximum"
        if maximum == _YEAR
        else f"{minimum:g} to {maximum:g}"
    )
    message = f"{printable(text)!r} is no number of seconds; give {allowed}"
    raise ArgumentTypeError(message)
