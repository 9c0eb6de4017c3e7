"""Names of a package that are imported when a program first asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lazy_name"]


def lazy_name(namespace: dict[str, object], homes: Mapping[str, str], name: str) -> object:
    """Return what a package calls `name`, for its `__getattr__`; imported once.

    Kept in the package: in a signal handler amid an import, importing again raises in
    Python 3.10.

    Args:
        namespace: The package's `globals()`.
        homes: The modules that names are in, by name.
        name: What is asked for.

    Raises:
        AttributeError: `homes` does not have the name.

    >>> package = {"__name__": "numbers_of_mine"}
    >>> lazy_name(package, {"pi": "math"}, "pi") == package["pi"]
    True
    >>> lazy_name(package, {"pi": "math"}, "tau")
    Traceback (most recent call last):
    AttributeError: module 'numbers_of_mine' has no attribute 'tau'
    """
    home = homes.get(name)
    if home is None:
        raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - paid for only when asked

    found: object = getattr(import_module(home), name)
    namespace[name] = found
    return found
