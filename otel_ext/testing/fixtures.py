"""Fixtures for pytest: `pytest_plugins = ["otel_ext.testing.fixtures"]` in `conftest.py`.

They do not set the global tracer provider: pass the provider or the tracer to the code
under test.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.services.defaults import default_services
from otel_ext.testing.capture import RecordCapture
from otel_ext.testing.clock import FakeClock
from otel_ext.testing.ids import SequentialIdGenerator

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.trace import Tracer

    from otel_ext.services.service_registry import ServiceRegistry

__all__ = [
    "otel_ext_clock",
    "otel_ext_provider",
    "otel_ext_records",
    "otel_ext_services",
    "otel_ext_tracer",
]

_numbers = count(1)


@pytest.fixture
def otel_ext_clock() -> FakeClock:
    """A clock that stands still until the test advances it."""
    return FakeClock()


@pytest.fixture
def otel_ext_records() -> RecordCapture:
    """The records of `otel_ext_provider` and `otel_ext_tracer`."""
    return RecordCapture()


@pytest.fixture
def otel_ext_provider(otel_ext_records: RecordCapture) -> Generator[TracerProvider]:
    """A tracer provider that records into `otel_ext_records`, with ids 1, 2, 3."""
    provider = TracerProvider(
        resource=Resource({"service.name": "test"}),
        id_generator=SequentialIdGenerator(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(LifecycleSpanProcessor(otel_ext_records))
    yield provider
    provider.shutdown()


@pytest.fixture
def otel_ext_tracer(otel_ext_provider: TracerProvider) -> Tracer:
    """A tracer of `otel_ext_provider`."""
    return otel_ext_provider.get_tracer("test")


@pytest.fixture
def otel_ext_services() -> Generator[ServiceRegistry]:
    """A namespace of services for this test alone, gone at its end."""
    with default_services().namespace(f"test-{next(_numbers)}") as services:
        yield services
