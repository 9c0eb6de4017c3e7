"""`OTLPRecordExporter`: sends records to an OpenTelemetry Collector or any OTLP backend.

The final record of a span is sent as an ordinary span; starts, updates, logs and process
records are sent as log records. The stock exporters of `opentelemetry-exporter-otlp`
send them, so all `OTEL_EXPORTER_OTLP_*` variables apply.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_ext.errors import ConfigError
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.protocols import SendResult
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_ext.exporters.delivery.queue import QueueLimits
    from otel_ext.exporters.otlp.encoding.events import LogEvent
    from otel_ext.exporters.otlp.transport.sender import Connection
    from otel_ext.protocols import SampleDecision
    from otel_ext.record.model import Record

__all__ = ["OTLPRecordExporter", "OtlpSender", "otlp_protocol", "sends_logs"]

_PROTOCOLS: Final = ("grpc", "http/protobuf")
# By encoding, the phases of a span that are sent as spans; the rest are log records.
_SPAN_PHASES: Final[dict[str, frozenset[str | None]]] = {
    "events": frozenset({"end"}),
    "logfire": frozenset({"start", "end"}),
    "same-id": frozenset({"start", "update", "end"}),
}
_SPANS: Final = "spans"
_LOGS: Final = "logs"


def otlp_protocol(signal: str) -> str:
    """Return the protocol that the environment sets for a signal: `http/protobuf` by default.

    Args:
        signal: `TRACES` or `LOGS`.

    Raises:
        ConfigError: The protocol is unknown, or Python's exporters do not support it.

    >>> otlp_protocol("TRACES")
    'http/protobuf'
    """
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = os.environ.get(name, "").strip().lower()
        if not value:
            continue
        if value not in _PROTOCOLS:
            message = f"environment variable {name}: {value!r} cannot be used"
            raise ConfigError(message, hint=f"Use one of: {', '.join(_PROTOCOLS)}")
        return value
    return _PROTOCOLS[1]


def sends_logs() -> bool:
    """Return whether logs are enabled: `OTEL_LOGS_EXPORTER` is not `none`.

    >>> sends_logs()
    True
    """
    return os.environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none"


class OtlpSender:
    """Sends batches of records over OTLP; a `SignalSender`.

    It connects with the first batch; a forked child opens its own connections. Once a
    receiver has answered that it does not accept logs (404, or UNIMPLEMENTED), no more
    logs are sent.

    Args:
        encoding: The encoding of records that are not final: `events`, `logfire` or
            `same-id`.
        on_no_logs: Called once when the receiver does not accept logs.

    Raises:
        ConfigError: The encoding is unknown, or the environment names a protocol that
            cannot be used.
    """

    signals = (_SPANS, _LOGS)

    def __init__(
        self,
        *,
        encoding: str = OtlpSettings.encoding,
        on_no_logs: Callable[[], object] = lambda: None,
    ) -> None:
        if encoding not in _SPAN_PHASES:
            message = f"there is no OTLP encoding {encoding!r}"
            raise ConfigError(message, hint=f"Use one of: {', '.join(_SPAN_PHASES)}")
        self._encoding = encoding
        self._span_phases = _SPAN_PHASES[encoding]
        self._on_no_logs = on_no_logs
        # Why no more logs are sent; empty while they are.
        self._no_logs = ""
        self._protocols = (otlp_protocol("TRACES"), otlp_protocol("LOGS"))
        # Imported late: the SDK's exporters and their imports take a tenth of a second.
        from otel_ext.exporters.otlp.transport import sender  # noqa: PLC0415

        sender.import_exporters(*self._protocols)
        self._make = sender.Connection
        self._connection: Connection | None = None
        # Each signal is sent on its own thread, and both use one connection.
        self._connecting = new_lock()
        # Connections of the parent process: a child must neither use nor close them.
        self._inherited: list[Connection] = []
        after_fork_in_child(self._reset)

    def signal_of(self, record: Record) -> str:
        """Return whether `record` is sent as a span or a log: `spans` or `logs`."""
        is_span = record.phase in self._span_phases and record.abandoned is None
        return _SPANS if is_span else _LOGS

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch: its spans in one request, its log records in another."""
        connection = self._connect()
        finals = [record for record in records if record.is_real_end]
        others = [record for record in records if not record.is_real_end]
        spans = connection.spans_of(finals)
        encoded = connection.encode(others) if others else ()
        spans += [one.span for one in encoded if one.span is not None]
        logs = [one.log for one in encoded if one.log is not None]
        taken = SendResult(ok=True)
        return _both(
            connection.send_spans(spans) if spans else taken,
            self._send_logs(connection, logs) if logs else taken,
        )

    def _send_logs(self, connection: Connection, logs: Sequence[LogEvent]) -> SendResult:
        if not self._no_logs:
            result = connection.send_logs(logs)
            if result.refusal != "signal":
                return result
            self._no_logs = (
                f"{result.message}: it accepts no logs, so only spans are sent from now on"
                " (OTEL_LOGS_EXPORTER=none leaves logs out from the start)"
            )
            self._on_no_logs()
        return SendResult(ok=True, rejected=len(logs), message=self._no_logs)

    def close(self) -> None:
        """Close the connections and abandon requests in flight. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        self._connecting.acquire()
        try:
            if self._connection is None:
                self._connection = self._make(self._encoding, *self._protocols)
            return self._connection
        finally:
            self._connecting.release()

    def _reset(self) -> None:
        self._connecting = new_lock()
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._connection = None


def _both(spans: SendResult, logs: SendResult) -> SendResult:
    """Merge the results of two requests: a failure that can be retried wins."""
    worst = next((one for one in (spans, logs) if not one.ok and one.retry), None)
    if worst is None:
        worst = next((one for one in (spans, logs) if not one.ok), spans)
    message = "; ".join(one.message for one in (spans, logs) if one.message)
    return worst._replace(rejected=spans.rejected + logs.rejected, message=message)


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
        ends_only: bool = False,
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
        self.send_only(lambda record: self._signal_of(record) == _SPANS)
