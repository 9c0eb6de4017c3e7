"""The options that several subcommands take, and how their values are parsed."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import datetime
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.settings.units import YEAR, parse_duration
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = [
    "add_color",
    "add_keep_days",
    "moment",
    "percent",
    "port_number",
    "seconds",
    "whole_number",
]

_LAST_PORT: Final = 65_535


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


def add_keep_days(parser: ArgumentParser) -> None:
    """Add the option that says how much a store keeps."""
    from otel_ext.store.sqlite.days import DEFAULT_LIMITS  # noqa: PLC0415 - only here

    parser.add_argument(
        "--keep-days",
        type=lambda text: whole_number(text, 1),
        default=DEFAULT_LIMITS.days,
        metavar="N",
        help="days with traces that the store keeps (default: %(default)s)",
    )


def port_number(text: str) -> int:
    """Parse the number of a port, or 0 for none, for argparse's `type`.

    Raises:
        ArgumentTypeError: It is not one.

    >>> port_number("8318")
    8318
    """
    if text.isdecimal() and text.isascii() and int(text) <= _LAST_PORT:
        return int(text)
    message = f"{printable(text)!r} is not a port; use 1 to {_LAST_PORT}, or 0 for none"
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


def percent(text: str) -> float:
    """Parse a part of a hundred, with or without its sign, for argparse's `type`.

    Raises:
        ArgumentTypeError: It is not a number from 0 to 100.

    >>> percent("2.5 %")
    2.5
    """
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if 0.0 <= value <= 100.0:  # noqa: PLR2004 - the whole
        return value
    raise ArgumentTypeError(f"{printable(text)!r} is not a valid percentage; use 0 to 100")


def moment(text: str) -> int:
    """Parse a time, for argparse's `type`: a duration before now, or a date and time.

    Returns:
        Nanoseconds since the epoch.

    Raises:
        ArgumentTypeError: It is neither.

    >>> moment("1970-01-01T00:01:00Z")
    60000000000
    """
    with suppress(ValueError):
        return time_ns() - round(parse_duration(text) * 1e9)
    with suppress(ValueError, OverflowError, OSError):
        # Python 3.10 does not know the Z; a time without an offset is local.
        found = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
        return round(found.timestamp() * 1e9)
    message = f"{printable(text)!r} is not a time; use 10m (ago) or 2026-11-29T12:00"
    raise ArgumentTypeError(message)
