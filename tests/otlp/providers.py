"""Creates providers that send over OTLP, and shuts them down."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.processors.lifecycle import LifecycleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.sdk.trace.sampling import Sampler

RESOURCE = {"service.name": "shop", "service.version": "7"}


@contextmanager
def sending(
    sampler: Sampler | None = None,
    **options: Any,  # noqa: ANN401 - the exporter's own
) -> Generator[tuple[TracerProvider, OTLPRecordExporter], None, None]:
    """Create a provider whose records are sent."""
    provider = TracerProvider(resource=Resource(RESOURCE), sampler=sampler, shutdown_on_exit=False)
    exporter = OTLPRecordExporter(**options)
    provider.add_span_processor(LifecycleSpanProcessor(exporter))
    try:
        yield provider, exporter
    finally:
        provider.shutdown()
