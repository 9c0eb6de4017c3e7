"""Settings that change while a program runs: validated, heard of, and kept in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.services.live_settings.live import Settings
    from otel_ext.services.live_settings.own import OwnSettings, own_settings

__all__ = ["OwnSettings", "Settings", "own_settings"]

_MODULES = {
    "OwnSettings": "otel_ext.services.live_settings.own",
    "Settings": "otel_ext.services.live_settings.live",
    "own_settings": "otel_ext.services.live_settings.own",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
