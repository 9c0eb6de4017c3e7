"""Checks what a program passes to the flags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_ext.errors import ConfigError

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

__all__ = ["absolute", "checked_baggage_key", "checked_flag", "checked_names", "flag_path"]


def flag_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a flag file.

    Raises:
        ConfigError: It is not a path.

    >>> flag_path("flags.json").name
    'flags.json'
    """
    try:
        return Path(path)
    except TypeError:
        hint = "Pass the path of a flag file"
        raise ConfigError(f"path={path!r} is not a path", hint=hint) from None


def absolute(path: Path) -> Path:
    """Return an absolute path, so that the program may change its working directory.

    >>> absolute(Path("flags.json")).is_absolute()
    True
    """
    try:
        return path.absolute()
    except OSError:  # the working directory was deleted
        return path


def checked_flag(flag: str) -> str:
    """Return the name of a flag.

    Raises:
        ConfigError: It is not a text.

    >>> checked_flag("new-search")
    'new-search'
    """
    if not _is_text(flag):
        raise ConfigError(f"flag={flag!r} is not the name of a flag", hint="Pass a text")
    return flag


def checked_names(enforced: Collection[str]) -> list[str]:
    """Return the names of flags in the argument `enforced`.

    Raises:
        ConfigError: It is not a list of texts.

    >>> checked_names({"new-search"})
    ['new-search']
    """
    hint = "Pass a list of names"
    if isinstance(enforced, str):
        raise ConfigError(f"enforced={enforced!r} is a text", hint=hint)
    try:
        found = list(enforced)
    except TypeError:
        raise ConfigError(f"enforced={enforced!r} is not a list of names", hint=hint) from None
    for one in found:
        if not _is_text(one):
            message = f"enforced={enforced!r} has {one!r}, which is not a name"
            raise ConfigError(message, hint=hint)
    return found


def checked_baggage_key(baggage_key: str) -> str:
    """Return the name of an entry of the baggage.

    Raises:
        ConfigError: It is not a text.

    >>> checked_baggage_key("user")
    'user'
    """
    if not _is_text(baggage_key):
        hint = "Pass the name of an entry of the baggage"
        raise ConfigError(f"baggage_key={baggage_key!r} is not a text", hint=hint)
    return baggage_key


def _is_text(value: object) -> bool:
    return isinstance(value, str)
