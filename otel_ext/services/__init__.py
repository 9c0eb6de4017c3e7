"""Parts for programs that run long: each works alone, and shows in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.services.live_settings.live import Settings
    from otel_ext.services.live_settings.own import own_settings
    from otel_ext.services.supervision.child import ChildStatus
    from otel_ext.services.supervision.context import ChildContext, StopSignal
    from otel_ext.services.supervision.supervisor import Supervisor

__all__ = [
    "ChildContext",
    "ChildStatus",
    "Settings",
    "StopSignal",
    "Supervisor",
    "own_settings",
]

_MODULES = {
    "ChildContext": "otel_ext.services.supervision.context",
    "ChildStatus": "otel_ext.services.supervision.child",
    "Settings": "otel_ext.services.live_settings.live",
    "StopSignal": "otel_ext.services.supervision.context",
    "Supervisor": "otel_ext.services.supervision.supervisor",
    "own_settings": "otel_ext.services.live_settings.own",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
