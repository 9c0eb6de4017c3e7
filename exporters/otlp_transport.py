"""The stock OTLP exporters of one process: for spans and for log records.

Imported only where records are sent, since the exporters and what they need take
a tenth of a second to import.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_ext.exporters.otlp_encodings import ENCODINGS
from otel_ext.exporters.otlp_spans import Origins, span_of
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_ext.exporters.otlp_encodings import Encoded
    from otel_ext.exporters.otlp_events import LogEvent
    from otel_ext.exporters.otlp_http import AnsweringSession
    from otel_ext.exporters.otlp_logs import LogExporter
    from otel_ext.record.model import Record

__all__ = ["Connection", "import_exporters"]

Made = TypeVar("Made")

_GRPC: Final = "grpc"
_MODULES: Final = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "http/protobuf": "otel_ext.exporters.otlp_http",
}
# A gRPC exporter tries for a second or longer what may succeed later, and gives
# up at once what will not; it does not tell which of the two it was.
_QUICK: Final = 0.5
_MAX_QUICK_FAILURES: Final = 3


class _Channel:
    """How the answers of one signal's exporter are read.

    Args:
        signal: `TRACES` or `LOGS`.
        session: Remembers the answers, for HTTP; None where nothing does.
    """

    def __init__(self, signal: str, session: AnsweringSession | None) -> None:
        self._signal = signal
        self._session = session
        self._quick_failures = 0

    def result_of(self, export: Callable[[], bool]) -> SendResult:
        """Call `export`, which tells whether the batch was taken, and say what became of it."""
        began = monotonic()
        ok = export()
        if self._session is not None:
            result = self._session.result(self._signal)
            # Refused by the exporter itself, as too large, without a request.
            return result if ok or not result.ok else SendResult(ok=False, message="not sent")
        if ok:
            self._quick_failures = 0
            return SendResult(ok=True)
        self._quick_failures = self._quick_failures + 1 if monotonic() - began < _QUICK else 0
        retry = self._quick_failures < _MAX_QUICK_FAILURES
        if not retry:
            self._quick_failures = 0
        return SendResult(ok=False, retry=retry, message="the log of the exporter says why")


class Connection:
    """Sends spans and log records; each of the two exporters is made when first used.

    Args:
        encoding: How records that are not final travel.
        span_protocol: `grpc` or `http/protobuf`.
        log_protocol: Likewise.
    """

    def __init__(self, encoding: str, span_protocol: str, log_protocol: str) -> None:
        self._encoding = ENCODINGS[encoding]
        self._protocols = (span_protocol, log_protocol)
        self._origins = Origins()
        self._spans: tuple[SpanExporter, _Channel] | None = None
        self._logs: tuple[LogExporter, _Channel] | None = None

    def spans_of(self, records: Sequence[Record]) -> list[ReadableSpan]:
        """Return final records as spans; one that cannot be loses only itself."""
        origins = self._origins
        try:
            return [span_of(record, origins) for record in records]
        except Exception:  # noqa: BLE001 - found out below, one by one
            return list(_each(records, lambda record: span_of(record, origins)))

    def encode(self, records: Sequence[Record]) -> list[Encoded]:
        """Return what other records become; one that cannot be encoded loses only itself."""
        return list(_each(records, lambda record: self._encoding(record, self._origins)))

    def send_spans(self, spans: Sequence[ReadableSpan]) -> SendResult:
        """Send spans in one request."""
        if self._spans is None:
            self._spans = _make_span_exporter(self._protocols[0])
        exporter, channel = self._spans
        return channel.result_of(lambda: exporter.export(spans) is SpanExportResult.SUCCESS)

    def send_logs(self, logs: Sequence[LogEvent]) -> SendResult:
        """Send log records in one request."""
        if self._logs is None:
            try:
                self._logs = _make_log_exporter(self._protocols[1])
            except ImportError as error:
                message = f"this version of OpenTelemetry has its logs elsewhere: {error}"
                return SendResult(ok=False, message=message)
        exporter, channel = self._logs
        return channel.result_of(lambda: exporter.export(logs))

    def close(self) -> None:
        """Close both; a request that is under way is given up."""
        for made in (self._spans, self._logs):
            if made is not None:
                made[0].shutdown()


def _each(records: Sequence[Record], make: Callable[[Record], Made]) -> Iterator[Made]:
    for record in records:
        try:
            yield make(record)
        except Exception as error:  # noqa: BLE001 - the others must be sent
            COUNTERS.add("remote.not_encoded")
            report_problem("OTLP: a record is lost", error)


def import_exporters(span_protocol: str, log_protocol: str) -> None:
    """Import all that sending will need, since it cannot be had while the interpreter exits.

    A module that brings threads of its own refuses to be imported then, and then
    is when a short program sends its first batch.

    Args:
        span_protocol: `grpc` or `http/protobuf`.
        log_protocol: Likewise.
    """
    for protocol, module in _MODULES.items():
        if protocol in (span_protocol, log_protocol):
            import_module(module)
    with suppress(ImportError):  # told of when there is a log record to send
        from otel_ext.exporters.otlp_logs import exporter_class  # noqa: PLC0415

        exporter_class(log_protocol)


def _make_span_exporter(protocol: str) -> tuple[SpanExporter, _Channel]:
    if protocol == _GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # noqa: PLC0415

        return grpc.OTLPSpanExporter(), _Channel("TRACES", None)
    from otel_ext.exporters.otlp_http import make_session, make_span_exporter  # noqa: PLC0415

    session = make_session("TRACES")
    return make_span_exporter(session), _Channel("TRACES", session)


def _make_log_exporter(protocol: str) -> tuple[LogExporter, _Channel]:
    # By itself, since the packages beneath it move; spans are sent all the same.
    from otel_ext.exporters.otlp_logs import make_log_exporter  # noqa: PLC0415

    if protocol == _GRPC:
        return make_log_exporter(protocol), _Channel("LOGS", None)
    from otel_ext.exporters.otlp_http import make_session  # noqa: PLC0415

    session = make_session("LOGS")
    return make_log_exporter(protocol, session), _Channel("LOGS", session)
