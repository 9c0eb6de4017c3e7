"""Gets the answers of an OTLP/gRPC receiver, which the stock exporters do not return.

A stock exporter has a set of the codes to retry, and looks up the code of each failure
in it while it handles the failure. The set from here notes each lookup and contains no
code, so the exporter itself never retries; the queue does.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import TYPE_CHECKING, Final, Protocol, cast

from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc import RpcError, StatusCode  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from otel_ext.exporters.otlp.variables import request_timeout
from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_ext.protocols import Refusal

__all__ = ["GrpcAnswers", "accepts_retryable_codes", "make_span_exporter"]

_CODES_ARGUMENT: Final = "retryable_error_codes"

_CODES: Final = "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"
# The retryable codes of OTLP (OTLP/gRPC, "Failures"). There "resource exhausted" is
# retryable only with a time to wait; here it is retried without one too.
_RETRYABLE: Final = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
# In the answers of C, Go and Rust servers to a message beyond their limit, with codes
# that otherwise mean a temporary failure.
_TOO_LARGE: Final = ("larger than max", "too large")
_REFUSALS: Final[dict[str, Refusal]] = {"INVALID_ARGUMENT": "data", "UNIMPLEMENTED": "signal"}
_LONGEST_MESSAGE: Final = 300


class _Code(Protocol):
    name: str


class _Failure(Protocol):
    """The exception of gRPC for a call that failed."""

    def code(self) -> _Code: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


class GrpcAnswers:
    """Remembers why the last call failed; each exporter has one."""

    repeated = False  # the exporter does not retry

    def __init__(self) -> None:
        self._failure: _Failure | None = None

    @property
    def codes(self) -> list[object]:
        """The value for `retryable_error_codes` of a stock exporter."""
        return [_ObservedCode(code, self) for code in cast("Iterable[object]", StatusCode)]

    def reset(self) -> None:
        """Forget the last call."""
        self._failure = None

    def note(self) -> None:
        """Remember the failure that is being handled on this thread."""
        error = sys.exc_info()[1]
        if isinstance(error, RpcError):
            self._failure = cast("_Failure", error)

    def result(self, *, ok: bool) -> SendResult:
        """Return the outcome of the last batch.

        Args:
            ok: Whether the exporter reports that it was accepted.
        """
        failure, self._failure = self._failure, None
        if ok:
            return SendResult(ok=True)
        if failure is None:
            return SendResult(
                ok=False, retry=True, message="the log of the exporter has the reason"
            )
        name, details = failure.code().name, failure.details() or ""
        too_large = any(text in details for text in _TOO_LARGE)
        return SendResult(
            ok=False,
            retry=name in _retryable() and not too_large,
            retry_after=_retry_after(failure),
            message=f"the receiver answered {name}: {details}"[:_LONGEST_MESSAGE],
            refusal="data" if too_large else _REFUSALS.get(name, ""),
        )


class _ObservedCode:
    """One status code, which notes when it is looked up, and is never found."""

    __slots__ = ("_answers", "_code")

    def __init__(self, code: object, answers: GrpcAnswers) -> None:
        self._code = code
        self._answers = answers

    def __hash__(self) -> int:
        return hash(self._code)

    def __eq__(self, other: object) -> bool:
        if other is self._code:
            self._answers.note()
        return self is other


def accepts_retryable_codes() -> bool:
    """Return whether the stock exporters accept the codes to retry; those before 1.42 do not.

    Such an exporter retries by itself, for up to a minute, and does not report why a
    request failed.
    """
    return _CODES_ARGUMENT in inspect.signature(OTLPSpanExporter).parameters


def make_span_exporter(answers: GrpcAnswers | None) -> SpanExporter:
    """Return the stock exporter of spans, set up by the `OTEL_EXPORTER_OTLP_*` variables.

    Args:
        answers: Gets the reason of a failure; None if the exporter does not report it.
    """
    timeout = request_timeout("TRACES")
    if answers is None:
        return OTLPSpanExporter(timeout=timeout)
    codes = cast("Iterable[StatusCode]", answers.codes)
    return OTLPSpanExporter(timeout=timeout, retryable_error_codes=codes)


def _retryable() -> frozenset[str]:
    names = os.environ.get(_CODES, "")
    return frozenset(name.strip().upper() for name in names.split(",")) if names else _RETRYABLE


def _retry_after(failure: _Failure) -> float:
    """Return the seconds that the receiver asks to wait; 0 for none."""
    try:
        metadata = dict(failure.trailing_metadata() or ())
        info = RetryInfo()
        if "google.rpc.retryinfo-bin" in metadata:
            info.ParseFromString(cast("bytes", metadata["google.rpc.retryinfo-bin"]))
        elif "grpc-status-details-bin" in metadata:
            status = Status.FromString(cast("bytes", metadata["grpc-status-details-bin"]))
            next((True for one in status.details if one.Unpack(info)), None)
        return max(float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9), 0.0)
    except Exception:  # noqa: BLE001 - a peer may send anything
        return 0.0
