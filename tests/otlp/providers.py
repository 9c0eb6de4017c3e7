"""Creates providers that send over OTLP, and sends records with a sender alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.processors.lifecycle import LifecycleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.sdk.trace.sampling import Sampler

    from otel_ext.protocols import SendResult
    from otel_ext.record.model import Record

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


def send(*records: Record, sender: OtlpSender | None = None) -> SendResult:
    """Send records, all of one signal in one request; return the first failure, or the last result.

    Args:
        records: The records.
        sender: The sender; None for one that is closed afterwards.
    """
    one = sender or OtlpSender()
    results: list[SendResult] = []
    for signal in one.signals:
        carried = [record for record in records if one.signal_of(record) == signal]
        request = one.encode(signal, carried) if carried else None
        if request is not None:
            results.append(one.send(request))
    if sender is None:
        one.close()
    return next((result for result in results if not result.ok), results[-1])
