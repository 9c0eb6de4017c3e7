"""Checks limits that are passed as arguments."""

from __future__ import annotations

from otel_ext.errors import ConfigError
from otel_ext.settings.short_repr import short_repr

__all__ = ["check_limit"]


def check_limit(name: str, value: object, *, is_whole: bool = True) -> None:
    """Raise ConfigError unless an argument is a positive number.

    Args:
        name: The argument's name.
        value: Its value.
        is_whole: Whether it must be a whole number.

    Raises:
        ConfigError: It is not.

    >>> check_limit("max_spans", 0)
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: max_spans=0 is not a positive number. Use 1 or more.
    """
    kinds = (int,) if is_whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not value > 0:
        raise ConfigError(
            f"{name}={short_repr(value)} is not a positive number",
            hint="Use 1 or more." if is_whole else "Use a number above 0.",
        )
