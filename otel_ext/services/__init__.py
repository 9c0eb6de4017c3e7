"""Parts for programs that run long: each works alone, and shows in the records."""

from __future__ import annotations

from otel_ext.lazy_names import lazy_name

__all__: list[str] = []

_MODULES: dict[str, str] = {}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
