"""Imports the public names of a package on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lazy_name"]


def lazy_name(namespace: dict[str, object], homes: Mapping[str, str], name: str) -> object:
    """Import and return a public name of a package, for its `__getattr__`.

    The result is stored in the package: in Python 3.10, importing again from a signal
    handler during an import raises.

    Args:
        namespace: The package's `globals()`.
        homes: The module of each public name; a public module is its own.
        name: The name to import.

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
    from importlib import import_module  # noqa: PLC0415 - only when a name is used

    module = import_module(home)
    is_module = home == f"{namespace['__name__']}.{name}"
    found: object = module if is_module else getattr(module, name)
    namespace[name] = found
    return found
