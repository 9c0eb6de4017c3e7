"""From the settings of `config.otlp` to an exporter: for `configure()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import SpanProcessor

    from otel_ext.config import OtlpConfig
    from otel_ext.protocols import SampleDecision

__all__ = ["OtlpParts", "make_otlp"]


class OtlpParts(NamedTuple):
    """What is needed to send records to a collector.

    Attributes:
        exporter: Sends them.
        watch: Sees spans before any record of theirs is made; None where there is
            no need to.
    """

    exporter: OTLPRecordExporter
    watch: SpanProcessor | None = None


def make_otlp(
    config: OtlpConfig, provider: Callable[[], object], *, record_only: bool = False
) -> OtlpParts:
    """Return what sends records as `config` says.

    Args:
        config: The settings.
        provider: Tells the tracer provider whose spans they are; its own exporters
            decide whether ours sends ended spans.
        record_only: Whether there are records of spans that are not sampled; those
            are not sent.

    Raises:
        ConfigError: The environment names a protocol that cannot be used.
    """
    # Now, since a thread of ours must import nothing: see `import_exporters`.
    from otel_ext.exporters.otlp.detect import has_otlp_exporter  # noqa: PLC0415

    def sends_spans() -> bool:
        return not has_otlp_exporter(provider())

    watch: SpanProcessor | None = None
    defer: SampleDecision | None = None
    if record_only:
        from otel_ext.exporters.delivery.sampling import UnsampledSpans  # noqa: PLC0415

        watch = unsampled = UnsampledSpans(max_ended=config.queue_size)
        defer = unsampled.decide
    exporter = OTLPRecordExporter(
        encoding=config.encoding,
        spans=sends_spans if config.spans == "auto" else config.spans == "always",
        limits=QueueLimits(config.queue_size, config.queue_bytes),
        ends_only=config.ends_only,
        grace=config.grace,
        defer=defer,
        shutdown_seconds=config.exit_timeout,
    )
    return OtlpParts(exporter, watch)
