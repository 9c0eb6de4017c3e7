"""Creates the OTLP exporter that the settings ask for; for `configure()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import SpanProcessor

    from otel_ext.exporters.otlp.settings import OtlpSettings
    from otel_ext.protocols import SampleDecision

__all__ = ["OtlpParts", "make_otlp"]

_UNLESS_SENT: Final = ("auto", "replace")
_LEFT: Final = "OTLP: ended spans are left to the program's own exporter"
_HINT: Final = (
    "to have otel-ext send them, at less cost, leave out OTLPSpanExporter or unset"
    " OTEL_TRACES_EXPORTER (under `otel-ext run`: otlp-spans=replace); to keep it and see no"
    " message: otlp-spans=never"
)


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

    told: list[str] = []

    def sends_spans() -> bool:
        if not has_otlp_exporter(provider()):
            return True
        if not told:
            told.append(_HINT)
            report_problem(_LEFT, _HINT)
        return False

    watch: SpanProcessor | None = None
    defer: SampleDecision | None = None
    if record_only:
        from otel_ext.exporters.delivery.sampling import UnsampledSpans  # noqa: PLC0415

        watch = unsampled = UnsampledSpans(max_ended=settings.queue_size)
        defer = unsampled.decide
    exporter = OTLPRecordExporter(
        encoding=settings.encoding,
        spans=sends_spans if settings.spans in _UNLESS_SENT else settings.spans == "always",
        limits=QueueLimits(settings.queue_size, settings.queue_bytes),
        ends_only=settings.ends_only,
        grace=settings.grace,
        defer=defer,
        shutdown_seconds=settings.exit_timeout,
    )
    return OtlpParts(exporter, watch)
