"""Adapter for OpenTelemetry's `_logs` packages, which are not stable yet.

Only this module uses them: it makes an OTLP log record from plain values, and an exporter
for such records. When the packages change, only this file has to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import opentelemetry.sdk._logs as sdk_logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from otel_ext.exporters.otlp.variables import request_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests
    from opentelemetry.sdk._logs.export import LogRecordExporter

    from otel_ext.exporters.otlp.encoding.events import LogEvent

__all__ = ["LogExporter", "exporter_class", "make_log", "make_log_exporter"]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
# Not empty: an empty context is false, and the SDK would replace it by the current one.
_NO_SPAN: Final = Context({"otel_ext": "no span"})


def make_log(event: LogEvent) -> object:
    """Return `event` as a log record of the SDK."""
    # The SDK before 1.39 has no such class.
    readable = getattr(sdk_logs, "ReadableLogRecord", None)
    if readable is None:
        return _make_old_log(event)
    context = _NO_SPAN
    if event.trace_id:
        ids = SpanContext(event.trace_id, event.span_id, is_remote=False, trace_flags=_SAMPLED)
        context = set_span_in_context(NonRecordingSpan(ids), _NO_SPAN)
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
    made: object = readable(record, event.resource, event.scope)
    return made


def _make_old_log(event: LogEvent) -> object:
    """Return `event` for exporters before 1.39; there its name is an attribute."""
    old: Any = sdk_logs
    record = old.LogRecord(
        timestamp=event.time_ns,
        observed_timestamp=event.observed_ns,
        severity_number=SeverityNumber(event.severity),
        severity_text=event.severity_text or None,
        body=event.body,
        resource=event.resource,
    )
    # Set afterwards, since the arguments differ between releases, and the SDK's own
    # attributes would drop nested values. An id of 0 means "no id".
    record.trace_id, record.span_id = event.trace_id, event.span_id
    record.trace_flags = _SAMPLED if event.trace_id else TraceFlags(0)
    record.attributes = _OldAttributes(event.attributes)
    if event.name:
        record.attributes["event.name"] = record.event_name = event.name
    return old.LogData(record, event.scope)


class _OldAttributes(dict[str, object]):
    """Attributes with the count of dropped ones, which exporters before 1.39 read."""

    dropped = 0


class LogExporter:
    """Wraps a stock exporter of log records in a stable interface.

    Args:
        exporter: The exporter.
    """

    def __init__(self, exporter: LogRecordExporter) -> None:
        self._exporter = exporter

    def export(self, events: Sequence[LogEvent]) -> bool:
        """Send the events and wait for the answer; whether they were accepted."""
        logs: Any = [make_log(event) for event in events]
        # The class of the result has another name before 1.39.
        return self._exporter.export(logs).name == "SUCCESS"

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
        session: Sends the requests, for HTTP; None for the exporter's own session.
        codes: The codes that the exporter itself retries, for gRPC; empty for its default.
    """
    make = exporter_class(protocol)
    timeout = request_timeout("LOGS")
    if protocol == "grpc":
        # Exporters before 1.42 do not take the argument.
        more = {"retryable_error_codes": codes} if codes else {}
        return LogExporter(make(timeout=timeout, **more))
    return LogExporter(make(session=session, timeout=timeout))
