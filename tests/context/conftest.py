"""Fixtures of the tests of spans by hand: tracing that is on, sampled out, or off."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from otel_ext.setup.structlog import configure_structlog
from tests.context.tracing import Tracing, tracing
from tests.structlog_kit import Kept

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def traced() -> Generator[Tracing]:
    """Tracing with the global provider; afterwards nothing of the test may be current."""
    with tracing(ALWAYS_ON) as found:
        yield found


@pytest.fixture
def unsampled() -> Generator[Tracing]:
    """Tracing whose sampler drops each span."""
    with tracing(ALWAYS_OFF) as found:
        yield found


@pytest.fixture
def kept(unconfigured_structlog: None) -> Generator[Kept]:
    """The records of all logs, of structlog and of the standard library."""
    del unconfigured_structlog
    exporter = Kept()
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = root.handlers[:]
    configure_structlog(exporter, stdlib=True, renderer="json")
    root.setLevel(logging.INFO)
    yield exporter
    root.handlers[:] = handlers
    root.setLevel(level)
