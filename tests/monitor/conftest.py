"""Fixtures for the tests of the monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.testing import RecordCapture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    """A tracer whose open spans are watched."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(RecordCapture()))
    yield provider.get_tracer("test")
    provider.shutdown()
