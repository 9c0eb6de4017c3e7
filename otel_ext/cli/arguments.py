"""The options that several subcommands take, and how their values are parsed."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from otel_ext.settings.units import YEAR
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["add_color", "seconds", "whole_number"]


def add_color(parser: ArgumentParser) -> None:
    """Add the option `--no-color`; `args.color` is False, or None if it is not used."""
    parser.add_argument(
        "--no-color",
        dest="color",
        action="store_false",
        default=None,
        help="no color (as NO_COLOR=1 does)",
    )


def whole_number(text: str, minimum: int = 0) -> int:
    """Parse a whole number, for argparse's `type`.

    Raises:
        ArgumentTypeError: It is not a whole number, or too small.

    >>> whole_number("12")
    12
    """
    if text.isdecimal() and text.isascii() and int(text) >= minimum:
        return int(text)
    message = f"{printable(text)!r} is not a whole number; use {minimum} or more"
    raise ArgumentTypeError(message)


def seconds(text: str, minimum: float = 0.0, maximum: float = YEAR) -> float:
    """Parse a number of seconds, for argparse's `type`.

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
    allowed = f"{minimum:g} or more" if maximum == YEAR else f"{minimum:g} to {maximum:g}"
    message = f"{printable(text)!r} is not a valid number of seconds; use {allowed}"
    raise ArgumentTypeError(message)
