"""Kinds of arguments that several subcommands take."""

from __future__ import annotations

__all__ = ["line_count"]


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
