"""Supervision: children that are started in order, watched, and started again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.services.supervision.child import ChildStatus
    from otel_ext.services.supervision.context import ChildContext, StopSignal
    from otel_ext.services.supervision.run import SupervisorFailedError
    from otel_ext.services.supervision.supervisor import Supervisor

__all__ = ["ChildContext", "ChildStatus", "StopSignal", "Supervisor", "SupervisorFailedError"]

_MODULES = {
    "ChildContext": "otel_ext.services.supervision.context",
    "ChildStatus": "otel_ext.services.supervision.child",
    "StopSignal": "otel_ext.services.supervision.context",
    "Supervisor": "otel_ext.services.supervision.supervisor",
    "SupervisorFailedError": "otel_ext.services.supervision.run",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
