"""Parts for programs that run long: each works alone, and shows in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.lazy_names import lazy_name

if TYPE_CHECKING:
    from otel_ext.services.agents import Agent, AgentRegistry
    from otel_ext.services.defaults import default_agents, default_services
    from otel_ext.services.errors import NotReadyError, NotRegisteredError
    from otel_ext.services.service_registry import ServiceRegistry

__all__ = [
    "Agent",
    "AgentRegistry",
    "NotReadyError",
    "NotRegisteredError",
    "ServiceRegistry",
    "default_agents",
    "default_services",
]

_MODULES = {
    "Agent": "otel_ext.services.agents",
    "AgentRegistry": "otel_ext.services.agents",
    "NotReadyError": "otel_ext.services.errors",
    "NotRegisteredError": "otel_ext.services.errors",
    "ServiceRegistry": "otel_ext.services.service_registry",
    "default_agents": "otel_ext.services.defaults",
    "default_services": "otel_ext.services.defaults",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    return lazy_name(globals(), _MODULES, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
