"""Records the spans of the global tracer provider in a test, and restores it after that."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.inflight.settings import InflightSettings
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.testing import RecordCapture

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["as_global", "recording_globally"]


@contextmanager
def as_global(provider: trace.TracerProvider | None) -> Generator[None]:
    """Make `provider` the global one within the block; None for none, as in a new process."""
    before = trace._TRACER_PROVIDER  # noqa: SLF001 - there is no public way back
    trace._TRACER_PROVIDER = provider  # noqa: SLF001
    try:
        yield
    finally:
        trace._TRACER_PROVIDER = before  # noqa: SLF001


@contextmanager
def recording_globally() -> Generator[RecordCapture]:
    """Record the spans of a new global provider within the block; return what keeps them."""
    capture = RecordCapture()
    provider = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
    # Tests count what they cause: a heartbeat may come at any time.
    quiet = InflightSettings(heartbeat_interval=0.0)
    provider.add_span_processor(LifecycleSpanProcessor(capture, inflight=quiet))
    with as_global(provider):
        yield capture
    provider.shutdown()
