"""Searches in traces, by the grammar that the terminal, the viewer and the API share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.search.found import SearchedTree
    from otel_ext.search.parse import SearchError, parse

__all__ = [
    "SearchError",
    "SearchedTree",
    "parse",
]

_MODULES = {
    "SearchError": "otel_ext.search.parse",
    "SearchedTree": "otel_ext.search.found",
    "parse": "otel_ext.search.parse",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
