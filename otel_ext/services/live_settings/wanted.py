"""`wanted`: puts together what an update of settings asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar, cast

from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import describe
from otel_ext.settings.short_repr import short_repr

__all__ = ["Making", "wanted"]

T = TypeVar("T")

Making: TypeAlias = Callable[[T], Mapping[str, object]]
"""Returns the values to set, for the settings as they are now."""


def wanted(
    changes: Mapping[str, object] | Making[T], named: Mapping[str, object], current: T
) -> dict[str, object]:
    """Return the values by name that an update asks for.

    Args:
        changes: The mapping that was passed to it, or a function that makes one.
        named: Its keyword arguments.
        current: The settings as they are now.

    Raises:
        ConfigError: It is not a mapping, a name is there twice, or the function raises.

    >>> wanted(lambda now: {"size": now + 1}, {"wait": 2.0}, 5)
    {'size': 6, 'wait': 2.0}
    """
    made: object = changes
    try:
        if callable(changes) and not isinstance(changes, Mapping):
            made = changes(current)
        found = _copied(made)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"what is passed to update() raised {describe(error)}",
            hint="Use a mapping of names to values, or a function that returns one.",
        ) from error
    if found is None:
        raise ConfigError(
            f"changes={short_repr(made)} is not a mapping of names to values",
            hint='Use update({"pool.size": 5}) or update(size=5).',
        )
    for name in named:
        if name in found:
            raise ConfigError(
                f"{name} is there twice, in the mapping and as an argument",
                hint="Leave one of them out.",
            )
    return {**found, **named}


def _copied(made: object) -> dict[str, object] | None:
    return dict(cast("Mapping[str, object]", made)) if isinstance(made, Mapping) else None
