"""Gets the answers of an OTLP/HTTP receiver, which the stock exporters do not return."""

from __future__ import annotations

import math
import os
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from urllib3.exceptions import NewConnectionError

from otel_ext.exporters.otlp.variables import request_timeout
from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_ext.protocols import Refusal

__all__ = ["AnsweringSession", "make_session", "make_span_exporter"]

# The retryable codes of OTLP (OTLP/HTTP, "Retryable response codes").
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
# The stock exporters retry these, with delays of up to a minute: all but 429 before 1.45.
_SENT_AGAIN: Final = frozenset({408, *_RETRYABLE, *range(500, 600)})
_OK: Final = range(200, 300)
# Statuses for bad data (OTLP/HTTP, "Bad data"; RFC 9110, 15.5), and for a path or
# method that the receiver does not serve.
_REFUSALS: Final[dict[int, Refusal]] = {
    400: "data",
    413: "data",
    422: "data",
    404: "signal",
    405: "signal",
    501: "signal",
}
_LONGEST_MESSAGE: Final = 300
# Each names an entry point that creates the session, with the user's credentials.
_PROVIDERS: Final = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{signal}_CREDENTIAL_PROVIDER",
)


class _StopRetryError(OSError):
    """Ends a call of the exporter, which would otherwise retry; the queue retries instead."""


class AnsweringSession(requests.Session):
    """A session that remembers the last answer, or why there was none.

    The exporter itself retries only once, at once, after a broken connection: the
    receiver may have closed a connection that was kept open.

    Args:
        signal: `TRACES` or `LOGS`.
    """

    def __init__(self, signal: str) -> None:
        super().__init__()
        self._signal = signal
        self.reset()

    def reset(self) -> None:
        """Forget the last answer."""
        self._tries = 0
        self._answer: requests.Response | None = None
        self._error = ""
        self.repeated = False
        self._maybe_taken = False

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as its base
        """Send one request."""
        self._tries += 1
        self.repeated = self._maybe_taken
        try:
            answer = self._answer = super().send(request, **kwargs)
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
            self._maybe_taken = not _never_arrived(error)
            if self._tries > 1:
                raise _StopRetryError(self._error) from error
            raise
        if answer.status_code in _SENT_AGAIN:
            raise _StopRetryError(f"{answer.status_code} {answer.reason}")
        return answer

    def result(self, *, ok: bool) -> SendResult:
        """Return the outcome of the last batch.

        Args:
            ok: Whether the exporter reports that it was accepted.
        """
        answer = self._answer
        if not ok and not self._tries:  # refused by the exporter itself, without a request
            return SendResult(ok=False, message="not sent")
        if answer is None:
            return SendResult(ok=False, retry=True, message=self._error)
        if answer.status_code in _OK:
            rejected, message = _partial_success(self._signal, answer.content)
            return SendResult(ok=True, rejected=rejected, message=message)
        return SendResult(
            ok=False,
            retry=answer.status_code in _RETRYABLE,
            retry_after=_retry_after(answer.headers),
            message=f"{answer.url} answered {answer.status_code} {answer.reason}",
            refusal=_REFUSALS.get(answer.status_code, ""),
        )


def _never_arrived(error: Exception) -> bool:
    """Whether no part of the request was sent."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)


def make_session(signal: str) -> AnsweringSession | None:
    """Return a session for a stock exporter; None if the environment names another.

    Args:
        signal: `TRACES` or `LOGS`.
    """
    if any(os.environ.get(name.format(signal=signal)) for name in _PROVIDERS):
        return None
    return AnsweringSession(signal)


def make_span_exporter(session: AnsweringSession | None) -> SpanExporter:
    """Return the stock exporter of spans, set up by the `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        session: Sends the requests; None for the exporter's own session.
    """
    return OTLPSpanExporter(session=session, timeout=request_timeout("TRACES"))


def _partial_success(signal: str, body: bytes) -> tuple[int, str]:
    """Return how many records a successful answer rejects, and why."""
    if not body:
        return 0, ""
    try:
        if signal == "TRACES":
            traces = ExportTraceServiceResponse.FromString(body).partial_success
            return max(traces.rejected_spans, 0), traces.error_message[:_LONGEST_MESSAGE]
        logs = ExportLogsServiceResponse.FromString(body).partial_success
        return max(logs.rejected_log_records, 0), logs.error_message[:_LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001 - a DecodeError, such as for `{}` from a server that always answers JSON
        return 0, ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of the header `Retry-After`; 0 without a valid one."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        return max(_seconds_until(value), 0.0)
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _seconds_until(date: str) -> float:
    try:
        moment: datetime = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp() - time()
