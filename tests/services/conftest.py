"""Fixtures for the tests of registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext.events.deferred import deferred_events
from otel_ext.services import AgentRegistry, ServiceRegistry
from tests.global_provider import recording_globally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.record.model import Record


@pytest.fixture
def records() -> Iterator[list[Record]]:
    """All records of the test, which a destination of its own keeps."""
    deferred_events().write_now()
    with recording_globally() as capture:
        yield capture.records


@pytest.fixture
def agents() -> Iterator[AgentRegistry]:
    """A registry of agents, empty after the test."""
    registry = AgentRegistry()
    yield registry
    for agent in registry.list():
        registry.unregister(agent.id)


@pytest.fixture
def services() -> Iterator[ServiceRegistry]:
    """A registry of services, closed after the test."""
    with ServiceRegistry() as registry:
        yield registry
