"""Providers and exporters for the tests of span processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.testing import RecordCapture

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
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


class RecordOnly(Sampler):
    """Records every span and samples none."""

    def should_sample(self, *_: object, **__: object) -> SamplingResult:
        """Decide to record without sampling."""
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        """Return a name."""
        return "RecordOnly"


def provider_of(*processors: SpanProcessor, **options: Any) -> TracerProvider:  # noqa: ANN401
    """Return a provider with these processors; `options` are those of `TracerProvider`."""
    provider = TracerProvider(shutdown_on_exit=False, **options)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def provider_with(
    exporter: RecordExporter,
    *,
    record_only: bool = False,
    **options: Any,  # noqa: ANN401 - of any type
) -> TracerProvider:
    """Return a provider with one lifecycle processor."""
    return provider_of(LifecycleSpanProcessor(exporter, record_only=record_only), **options)


def recording() -> tuple[Tracer, Recorder]:
    """Return a tracer and the exporter that keeps its records."""
    recorder = Recorder()
    return provider_with(recorder).get_tracer("tests.scope", "1.2"), recorder
