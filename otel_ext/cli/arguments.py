"""Kinds of arguments that several subcommands take."""

from __future__ import annotations

from otel_ext.exporters.console_text import printable

__all__ = ["line_count", "seconds"]


def line_count(text: str) -> int:
    """Return the number of lines that `text` names, for argparse's `type`.

    Raises:
        ArgumentTypeError: It is no whole number from 0 on.

    >>> line_count("12")
    12
    """
    from argparse import ArgumentTypeError  # noqa: PLC0415 - the parser has loaded it by then

    if text.isdecimal() and text.isascii():
        return int(text)
    message = f"{text!r} is no number of lines; give 0 or more"
    raise ArgumentTypeError(message)


def seconds(text: str) -> float:
    """Return the number of seconds that `text` names, for argparse's `type`.

    Raises:
        ArgumentTypeError: It is not a finite number from 0 on.

    >>> seconds("1.5")
    1.5
    """
    from argparse import ArgumentTypeError  # noqa: PLC0415 - as above

    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value < float("inf"):
        return value
    message = f"{printable(text)!r} is no number of seconds; give 0 or more"
    raise ArgumentTypeError(message)
