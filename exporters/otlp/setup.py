"""Creates the OTLP exporter that the settings ask for; for `configure()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import SpanProcessor

    from otel_ext.exporters.otlp.settings import OtlpSettings
    from otel_ext.protocols import SampleDecision

__all__ = ["OtlpParts", "make_otlp"]


class OtlpParts(NamedTuple):
    """The parts that send records to a collector.

    Attributes:
        exporter: Sends the records.
        watch: A processor to add before the one that makes the records; may be None.
    """

    exporter: OTLPRecordExporter
    watch: SpanProcessor | None = None


def make_otlp(
    settings: OtlpSettings, provider: Callable[[], object], *, record_only: bool
) -> OtlpParts:
    """Create the parts that send records as `settings` ask.

    Args:
        settings: What is sent, and how.
        provider: Returns the tracer provider of the spans; if it has an OTLP exporter,
            ours need not send ended spans.
        record_only: Whether there are records of spans that are not sampled; those
            are not sent.

    Raises:
        ConfigError: The environment names a protocol that cannot be used.
    """
    # Here, since our threads must not import anything: see `OtlpSender`.
    from otel_ext.exporters.otlp.detect import has_otlp_exporter  # noqa: PLC0415

    def sends_spans() -> bool:
        return not has_otlp_exporter(provider())

    watch: SpanProcessor | None = None
    defer: SampleDecision | None = None
    if record_only:
        from otel_ext.exporters.delivery.sampling import UnsampledSpans  # noqa: PLC0415

        watch = unsampled = UnsampledSpans(max_ended=settings.queue_size)
        defer = unsampled.decide
    exporter = OTLPRecordExporter(
        encoding=settings.encoding,
        spans=sends_spans if settings.spans == "auto" else settings.spans == "always",
        limits=QueueLimits(settings.queue_size, settings.queue_bytes),
        ends_only=settings.ends_only,
        grace=settings.grace,
        defer=defer,
        shutdown_seconds=settings.exit_timeout,
    )
    return OtlpParts(exporter, watch)
