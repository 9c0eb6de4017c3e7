"""Providers and exporters for the tests of span processors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.testing import RecordCapture

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SynchronousMultiSpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer

    from otel_ext.protocols import RecordExporter


class Recorder(RecordCapture):
    """Keeps records, and counts how often it was shut down."""

    def __init__(self) -> None:
        super().__init__()
        self.shutdowns = 0

    def shutdown(self) -> None:
        """Count it."""
        self.shutdowns += 1


def provider_with(
    exporter: RecordExporter,
    *,
    record_only: bool = False,
    sampler: Sampler | None = None,
    multi: SynchronousMultiSpanProcessor | ConcurrentMultiSpanProcessor | None = None,
) -> TracerProvider:
    """Return a provider with one lifecycle processor."""
    provider = TracerProvider(sampler=sampler, active_span_processor=multi, shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(exporter, record_only=record_only))
    return provider


def recording() -> tuple[Tracer, Recorder]:
    """Return a tracer and the exporter that keeps its records."""
    recorder = Recorder()
    return provider_with(recorder).get_tracer("tests.scope", "1.2"), recorder
