"""The errors of the registries."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from otel_ext.config.messages import did_you_mean
from otel_ext.errors import ConfigError, OtelExtError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST_NAME", "NotReadyError", "NotRegisteredError", "checked_name", "not_registered"]

LONGEST_NAME: Final = 200
"""The most characters of an agent's id and of a service's name."""

# Comparing names takes microseconds each, and a program may look for missing ones often.
_MOST_COMPARED: Final = 500
_LENGTHS_APART: Final = 3


class NotRegisteredError(ConfigError, LookupError):
    """A registry has no agent or service of this name; the hint has the nearest one it has."""

    code = "not-registered"


class NotReadyError(OtelExtError, TimeoutError):
    """A service was not registered and ready in time; the message says what is missing."""

    code = "not-ready"


def checked_name(what: str, name: object) -> str:
    """Return a name as plain `str`, if it is one of 1 to 200 characters.

    Args:
        what: What it names, for the message.
        name: The name.

    Raises:
        ConfigError: It is not.

    >>> checked_name("agent id", "")
    Traceback (most recent call last):
    otel_ext.errors.ConfigError: agent id '' is not valid. Use 1 to 200 characters of text.
    """
    if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
        return name if type(name) is str else str.__str__(name)
    raise ConfigError(
        f"{what} {short_repr(name)} is not valid",
        hint=f"Use 1 to {LONGEST_NAME} characters of text.",
    )


def not_registered(what: str, name: object, known: Iterable[str]) -> NotRegisteredError:
    """Return the error for a name that is not registered, with the nearest one as its hint.

    >>> print(not_registered("agent", "importr", ["importer", "mailer"]))
    no agent 'importr' is registered. Did you mean 'importer'?
    """
    hint = ""
    if isinstance(name, str):
        near = (one for one in known if abs(len(one) - len(name)) <= _LENGTHS_APART)
        hint = did_you_mean(name, islice(near, _MOST_COMPARED))
    return NotRegisteredError(
        f"no {what} {short_repr(name)} is registered",
        hint=hint or "Register it first.",
        context={what: name},
    )
