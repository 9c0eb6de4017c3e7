"""`OTLPRecordExporter`: sends records to an OpenTelemetry Collector or any OTLP backend.

The final record of a span is sent as an ordinary span; starts, updates, logs and process
records are sent as log records. All `OTEL_EXPORTER_OTLP_*` variables apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.otlp.encoding.requests import SPANS
from otel_ext.exporters.otlp.sender import OtlpSender
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.exporters.otlp.variables import sends_logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.exporters.delivery.queue import QueueLimits
    from otel_ext.protocols import SampleDecision
    from otel_ext.record.model import Record

__all__ = ["OTLPRecordExporter"]


class OTLPRecordExporter(RemoteQueue):
    """Sends records to an OpenTelemetry Collector or any backend that accepts OTLP.

    The environment sets where and how, as for the stock exporters:
    `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_PROTOCOL` (`http/protobuf` or
    `grpc`), `OTEL_EXPORTER_OTLP_HEADERS` and so on.

    Args:
        encoding: The encoding of records that are not final: `events`, `logfire` or
            `same-id`.
        spans: Whether to send final records as spans, or a function that is called for
            each batch: false where another exporter sends them. Records that an earlier
            run has left on disk are sent in any case, since that run has decided.
        limits: How many records and bytes may wait.
        grace: Seconds; a span that ends sooner sends no start.
        ends_only: Whether to send only the ends of spans. With
            `OTEL_LOGS_EXPORTER=none` in the environment, no log records are sent.
        defer: Returns whether the records of a span may be sent; None while unknown.
        shutdown_seconds: How long `shutdown` sends what is queued.

    Raises:
        ConfigError: The encoding or the protocol is unknown.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from otel_ext.processors import LifecycleSpanProcessor
    >>> provider = TracerProvider()
    >>> exporter = OTLPRecordExporter(grace=2.0)
    >>> provider.add_span_processor(LifecycleSpanProcessor(exporter))
    >>> exporter.shutdown()
    """

    def __init__(
        self,
        *,
        encoding: str = OtlpSettings.encoding,
        spans: bool | Callable[[], bool] = True,
        ends_only: bool = OtlpSettings.ends_only,
        limits: QueueLimits | None = None,
        grace: float = OtlpSettings.grace,
        defer: SampleDecision | None = None,
        shutdown_seconds: float = OtlpSettings.exit_timeout,
    ) -> None:
        sender = OtlpSender(encoding=encoding, on_no_logs=self._send_spans_only)
        self._signal_of = sender.signal_of
        super().__init__(
            sender,
            name="OTLP",
            finals=spans,
            limits=limits,
            grace=grace,
            defer=defer,
            shutdown_seconds=shutdown_seconds,
        )
        if ends_only:
            self.send_only(lambda record: record.is_real_end)
        elif not sends_logs():
            self._send_spans_only()

    def _send_spans_only(self) -> None:
        self.send_only(self._is_span)

    def _is_span(self, record: Record) -> bool:
        return self._signal_of(record) == SPANS
