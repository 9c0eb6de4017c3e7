"""Parts for programs that run long: each works alone, and shows in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.services.agents import Agent, AgentRegistry
    from otel_ext.services.defaults import default_agents, default_services
    from otel_ext.services.errors import NotReadyError, NotRegisteredError
    from otel_ext.services.live_settings.live import Settings
    from otel_ext.services.live_settings.own import own_settings
    from otel_ext.services.service_registry import ServiceRegistry
    from otel_ext.services.supervision.child import ChildStatus
    from otel_ext.services.supervision.context import ChildContext, StopSignal
    from otel_ext.services.supervision.run import SupervisorFailedError
    from otel_ext.services.supervision.supervisor import Supervisor

__all__ = [
    "Agent",
    "AgentRegistry",
    "ChildContext",
    "ChildStatus",
    "NotReadyError",
    "NotRegisteredError",
    "ServiceRegistry",
    "Settings",
    "StopSignal",
    "Supervisor",
    "SupervisorFailedError",
    "default_agents",
    "default_services",
    "own_settings",
]

_MODULES = {
    "Agent": "otel_ext.services.agents",
    "AgentRegistry": "otel_ext.services.agents",
    "ChildContext": "otel_ext.services.supervision.context",
    "ChildStatus": "otel_ext.services.supervision.child",
    "NotReadyError": "otel_ext.services.errors",
    "NotRegisteredError": "otel_ext.services.errors",
    "ServiceRegistry": "otel_ext.services.service_registry",
    "Settings": "otel_ext.services.live_settings.live",
    "StopSignal": "otel_ext.services.supervision.context",
    "Supervisor": "otel_ext.services.supervision.supervisor",
    "SupervisorFailedError": "otel_ext.services.supervision.run",
    "default_agents": "otel_ext.services.defaults",
    "default_services": "otel_ext.services.defaults",
    "own_settings": "otel_ext.services.live_settings.own",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
