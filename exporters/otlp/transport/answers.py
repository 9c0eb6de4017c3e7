"""Reads the answer of a receiver that accepts a request, alike over HTTP and gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.protocols import Request

__all__ = ["Answer", "accepted"]


class Answer(NamedTuple):
    """The outcome of a request, with what the metrics report about a failure.

    Attributes:
        result: The outcome for the queue.
        error: The class of the exception, or the status; empty if the request was accepted.
        status: The attribute with the status that refused it, if there is one.
    """

    result: SendResult
    error: str = ""
    status: Mapping[str, str | int] = {}


def accepted(request: Request, body: bytes) -> SendResult:
    """Return the result of a request that was accepted, perhaps in part.

    Args:
        request: The request; it has at most as many rejected records as records.
        body: The answer.

    >>> from otel_ext.protocols import Request
    >>> accepted(Request("spans", b"", 1), b"{}").ok  # from a server that always answers JSON
    True
    """
    try:
        if request.signal == "spans":
            traces = ExportTraceServiceResponse.FromString(body).partial_success
            rejected, message = traces.rejected_spans, traces.error_message
        else:
            logs = ExportLogsServiceResponse.FromString(body).partial_success
            rejected, message = logs.rejected_log_records, logs.error_message
    except Exception:  # noqa: BLE001 - a DecodeError; a peer may answer anything
        return SendResult(ok=True)
    rejected = min(max(rejected, 0), request.records)
    return SendResult(ok=True, rejected=rejected, message=message)
