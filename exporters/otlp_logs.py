"""The one module that knows OpenTelemetry's `_logs` packages, which are not stable yet.

When they move, this file is what changes: it makes an OTLP log record out of
plain values, and an exporter for such records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from otel_ext.exporters.otlp_events import LogEvent

__all__ = ["LogExporter", "exporter_class", "make_log", "make_log_exporter"]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
# An empty context is false, and would be replaced by the current one.
_NOWHERE: Final = Context({"otel_ext": "no span"})


def make_log(event: LogEvent) -> ReadableLogRecord:
    """Return `event` as the SDK's exporters take it."""
    context = _NOWHERE
    if event.trace_id:
        ids = SpanContext(event.trace_id, event.span_id, is_remote=False, trace_flags=_SAMPLED)
        context = set_span_in_context(NonRecordingSpan(ids), _NOWHERE)
    record = LogRecord(
        timestamp=event.time_ns,
        observed_timestamp=event.observed_ns,
        context=context,
        severity_number=SeverityNumber(event.severity),
        severity_text=event.severity_text or None,
        body=event.body,
        attributes=event.attributes,
        event_name=event.name,
    )
    return ReadableLogRecord(record, event.resource, event.scope)


class LogExporter:
    """A stock exporter of log records, behind a face that does not change with it.

    Args:
        exporter: The exporter.
    """

    def __init__(self, exporter: LogRecordExporter) -> None:
        self._exporter = exporter

    def export(self, events: Sequence[LogEvent]) -> bool:
        """Send the events and wait for the answer; whether they were taken."""
        result = self._exporter.export([make_log(event) for event in events])
        return result is LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def exporter_class(protocol: str) -> Callable[..., LogRecordExporter]:
    """Return the stock OTLP exporter of logs, for `grpc` or `http/protobuf`."""
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc  # noqa: PLC0415

        return grpc.OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http import _log_exporter as http  # noqa: PLC0415

    return http.OTLPLogExporter


def make_log_exporter(
    protocol: str, session: requests.Session | None = None, codes: Sequence[object] = ()
) -> LogExporter:
    """Return an exporter of logs, set up by the `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        protocol: `grpc` or `http/protobuf`.
        session: Sends the requests, for HTTP; None for one of the exporter's own.
        codes: What the exporter itself tries again, for gRPC; none for what it likes.
    """
    make = exporter_class(protocol)
    if protocol == "grpc":
        return LogExporter(make(retryable_error_codes=codes or None))
    return LogExporter(make(session=session))
