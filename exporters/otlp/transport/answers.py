"""Reads the answer of a receiver that accepts a request, alike over HTTP and gRPC."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_ext.protocols import SendResult

__all__ = ["LONGEST_MESSAGE", "accepted"]

LONGEST_MESSAGE: Final = 300
"""The maximum of characters of a receiver's message."""


def accepted(signal: str, body: bytes) -> SendResult:
    """Return the result of a request that was accepted, perhaps in part.

    Args:
        signal: `spans` or `logs`.
        body: The answer.

    >>> accepted("spans", b"{}").ok  # from a server that always answers JSON
    True
    """
    try:
        if signal == "spans":
            traces = ExportTraceServiceResponse.FromString(body).partial_success
            rejected, message = traces.rejected_spans, traces.error_message
        else:
            logs = ExportLogsServiceResponse.FromString(body).partial_success
            rejected, message = logs.rejected_log_records, logs.error_message
    except Exception:  # noqa: BLE001 - a DecodeError; a peer may answer anything
        return SendResult(ok=True)
    return SendResult(ok=True, rejected=max(rejected, 0), message=message[:LONGEST_MESSAGE])
