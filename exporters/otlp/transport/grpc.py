"""Sends requests over OTLP/gRPC, and decides by the answer what is sent again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlparse

import grpc  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from otel_ext.errors import ConfigError
from otel_ext.exporters.otlp.transport.answers import Answer, accepted
from otel_ext.exporters.otlp.variables import retryable_codes
from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from otel_ext.exporters.otlp.variables import SignalVariables
    from otel_ext.protocols import Refusal, Request

__all__ = ["GrpcTransport"]

_METHODS: Final = {
    "spans": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_COMPRESSIONS: Final[dict[str, grpc.Compression]] = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
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
_TOO_LARGE: Final = ("larger than max", "too large", "maximum size")
_REFUSALS: Final[dict[str, Refusal]] = {"INVALID_ARGUMENT": "data", "UNIMPLEMENTED": "signal"}


class GrpcTransport:
    """Calls the service of one signal.

    Args:
        signal: `spans` or `logs`.
        variables: Where and how, from the environment.

    Attributes:
        header_values: The values of the user's headers, which are secret.

    Raises:
        ConfigError: The credential provider cannot be used.
    """

    def __init__(self, signal: str, variables: SignalVariables) -> None:
        endpoint = variables.endpoint
        url = urlparse(endpoint)
        self._target = url.netloc or endpoint
        self._credentials = None if _is_insecure(variables, url.scheme) else _credentials(variables)
        self._method = _METHODS[signal]
        self._timeout = variables.timeout
        self._metadata = tuple(variables.headers.items())
        self.header_values = tuple(value for _, value in self._metadata)
        self._compression = _COMPRESSIONS[variables.compression]
        self._options = [("grpc.primary_user_agent", variables.user_agent)]
        self._channel: grpc.Channel | None = None

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the answer."""
        channel: Any = self._channel
        if channel is None:
            channel = self._channel = self._connect()
        try:
            export = channel.unary_unary(self._method)
            answer: bytes = export(request.body, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            failure: Any = error
            if failure.code() is grpc.StatusCode.UNAVAILABLE:
                # Otherwise the channel would wait for minutes until it connects again.
                self.close()
            status = {"rpc.response.status_code": failure.code().name}
            return Answer(_result_of(failure), type(error).__qualname__, status)
        except ValueError as error:  # the channel was closed meanwhile
            result = SendResult(ok=False, retry=True, message=str(error))
            return Answer(result, type(error).__qualname__)
        return Answer(accepted(request, answer))

    def close(self) -> None:
        """Close the connection and abort a request in flight. Idempotent."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _connect(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, self._options, self._compression)
        return grpc.secure_channel(
            self._target, self._credentials, self._options, self._compression
        )


def _is_insecure(variables: SignalVariables, scheme: str) -> bool:
    """Whether there is no TLS: `https` has it; the variable decides, else the scheme."""
    if scheme == "https":
        return False
    configured = variables.get("INSECURE").lower()
    return configured == "true" if configured else scheme == "http"


def _credentials(variables: SignalVariables) -> grpc.ChannelCredentials:
    provider = variables.credential_provider()
    if provider is not None:
        found: object = provider.load()()
        if isinstance(found, grpc.ChannelCredentials):
            return found
        message = f"credential provider {provider}: it returns a {type(found).__name__}"
        raise ConfigError(message, hint="Over gRPC it must return grpc.ChannelCredentials.")
    names = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
    files = [variables.get(name) for name in names]
    # An empty file counts as none: gRPC ends the whole process for a key without a certificate.
    trusted, key, chain = [Path(one).read_bytes() or None if one else None for one in files]
    if (key is None) != (chain is None):
        present, missing = names[1:] if chain is None else names[:0:-1]
        message = (
            f"environment variable OTEL_EXPORTER_OTLP_{present} needs"
            f" OTEL_EXPORTER_OTLP_{missing}, which is not set or names an empty file"
        )
        raise ConfigError(message, hint="Set both to files that are not empty, or none.")
    return grpc.ssl_channel_credentials(trusted, key, chain)


def _result_of(failure: Any) -> SendResult:  # noqa: ANN401 - gRPC has no types
    name, details = failure.code().name, failure.details() or ""
    too_large = any(text in details for text in _TOO_LARGE)
    return SendResult(
        ok=False,
        retry=name in (retryable_codes() or _RETRYABLE) and not too_large,
        retry_after=_retry_after(failure),
        message=f"the receiver answered {name}: {details}",
        refusal="data" if too_large else _REFUSALS.get(name, ""),
    )


def _retry_after(failure: Any) -> float:  # noqa: ANN401 - likewise
    """Return the seconds that the receiver asks to wait; 0 for none."""
    try:
        metadata: dict[str, bytes] = dict(failure.trailing_metadata() or ())
        info = RetryInfo()
        if "google.rpc.retryinfo-bin" in metadata:
            info.ParseFromString(metadata["google.rpc.retryinfo-bin"])
        elif "grpc-status-details-bin" in metadata:
            status = Status.FromString(metadata["grpc-status-details-bin"])
            next((True for one in status.details if one.Unpack(info)), None)
        return max(float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9), 0.0)
    except Exception:  # noqa: BLE001 - a peer may send anything
        return 0.0
