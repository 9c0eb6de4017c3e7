"""Says how to install OpenFeature where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.errors import MissingExtraError
from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["flags_name"]

# The distribution of each module that the extra brings.
_DISTRIBUTIONS: Final = {
    "openfeature": "openfeature-sdk",
    "openfeature.contrib": "openfeature-flagd-core",
    "json_logic": "panzi-json-logic",
    "mmh3": "mmh3",
    "cbor2": "cbor2",
    "semver": "semver",
}


def flags_name(namespace: dict[str, object], homes: Mapping[str, str], name: str) -> object:
    """Import and return a public name, as `lazy_name` does.

    Raises:
        AttributeError: `homes` does not have the name.
        MissingExtraError: It needs OpenFeature, which is not installed.

    >>> package = {"__name__": "numbers_of_mine"}
    >>> flags_name(package, {"pi": "math"}, "pi") == package["pi"]
    True
    """
    try:
        return lazy_name(namespace, homes, name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        for module in (".".join(missing.split(".")[:2]), missing.partition(".")[0]):
            if module in _DISTRIBUTIONS:
                distribution = _DISTRIBUTIONS[module]
                raise MissingExtraError(distribution, "flags", whole=True) from error
        raise
