"""The registries that a whole program shares, made on first use."""

from __future__ import annotations

from typing import Final

from otel_ext.services.agents import AgentRegistry
from otel_ext.services.service_registry import ServiceRegistry

__all__ = ["default_agents", "default_services"]

_agents: Final[dict[str, AgentRegistry]] = {}
_services: Final[dict[str, ServiceRegistry]] = {}


def default_agents() -> AgentRegistry:
    """Return the registry of agents that all parts of this program share.

    >>> default_agents() is default_agents()
    True
    """
    found = _agents.get("agents")
    # One step of the interpreter: all threads get the same.
    return _agents.setdefault("agents", AgentRegistry()) if found is None else found


def default_services() -> ServiceRegistry:
    """Return the registry of services that all parts of this program share.

    >>> default_services() is default_services()
    True
    """
    found = _services.get("services")
    return _services.setdefault("services", ServiceRegistry()) if found is None else found
