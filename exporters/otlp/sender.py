"""`OtlpSender`: encodes records as OTLP requests and sends them to a receiver."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext.errors import ConfigError
from otel_ext.exporters.delivery.metrics import wants_metrics
from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import LOGS, RequestCodec
from otel_ext.exporters.otlp.metrics import ExporterMetrics
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.exporters.otlp.transport.answers import Answer
from otel_ext.exporters.otlp.transport.secrets import hide_secrets
from otel_ext.exporters.otlp.variables import GRPC, HTTP, SignalVariables
from otel_ext.protocols import SendResult
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from otel_ext.exporters.otlp.transport.grpc import GrpcTransport
    from otel_ext.exporters.otlp.transport.http import HttpTransport
    from otel_ext.protocols import Request

    _Transport: TypeAlias = HttpTransport | GrpcTransport

__all__ = ["OtlpSender"]

# The maximum of characters of a receiver's message.
_LONGEST_MESSAGE: Final = 300
# By protocol, what sending imports, including what it imports with the first request.
_MODULES: Final = {
    GRPC: ("otel_ext.exporters.otlp.transport.grpc", "grpc.experimental", "grpc._channel"),
    HTTP: ("otel_ext.exporters.otlp.transport.http", "netrc"),
}
_CODEC: Final = "encodings.utf_16_le"  # for lone surrogates


class OtlpSender(RequestCodec):
    """Sends requests over OTLP; a `RequestSender`.

    It connects with the first request; a forked child opens its own connections. Once a
    receiver has answered that it does not accept logs (404, or UNIMPLEMENTED), no more
    logs are sent.

    Args:
        encoding: The encoding of records that are not final: `events`, `logfire` or
            `same-id`.
        on_no_logs: Called once when the receiver does not accept logs.

    Raises:
        ConfigError: The encoding is unknown, or the environment names a protocol or a
            credential provider that cannot be used.
    """

    def __init__(
        self,
        *,
        encoding: str = OtlpSettings.encoding,
        on_no_logs: Callable[[], object] = lambda: None,
    ) -> None:
        found = ENCODINGS.get(encoding)
        if found is None:
            message = f"there is no OTLP encoding {encoding!r}"
            raise ConfigError(message, hint=f"Use one of: {', '.join(ENCODINGS)}")
        super().__init__(found)
        self._on_no_logs = on_no_logs
        # Why no more logs are sent; empty while they are.
        self._no_logs = ""
        self._variables = {signal: SignalVariables(signal) for signal in self.signals}
        for variables in self._variables.values():
            variables.credential_provider()  # raises if there is none of this name
            _import_all(variables.protocol)
        self._metrics = _make_metrics(self._variables) if wants_metrics() else {}
        self._transports: dict[str, _Transport] = {}
        # Connections of the parent process: a child must neither use nor close them.
        self._inherited: list[dict[str, _Transport]] = []
        after_fork_in_child(self._reset)

    def send(self, request: Request) -> SendResult:
        """Send one request and wait for the answer."""
        if request.signal not in self.signals:
            message = f"there is no signal {request.signal!r}"
            return SendResult(ok=False, message=message, refusal="data")
        if request.signal == LOGS and self._no_logs:
            return SendResult(ok=True, rejected=request.records, message=self._no_logs)
        metrics = self._metrics.get(request.signal)
        result = (metrics.measure(request, self._try) if metrics else self._try(request)).result
        if request.signal != LOGS or result.refusal != "signal":
            return result
        self._no_logs = (
            f"{result.message}: it accepts no logs, so only spans are sent from now on"
            " (OTEL_LOGS_EXPORTER=none leaves logs out from the start)"
        )
        self._on_no_logs()
        return SendResult(ok=True, rejected=request.records, message=self._no_logs)

    def _try(self, request: Request) -> Answer:
        variables = self._variables[request.signal]
        headers: Collection[str] = ()
        try:
            transport = self._transport(request.signal)
            headers = transport.header_values
            answer = transport.send(request)
        except Exception as error:  # noqa: BLE001 - a credential provider is the user's code
            name = type(error).__name__
            answer = Answer(SendResult(ok=False, retry=True, message=f"{name}: {error}"), name)
        result = answer.result
        if not result.message:
            return answer
        message = hide_secrets(result.message, variables.endpoint, headers)[:_LONGEST_MESSAGE]
        return answer._replace(result=result._replace(message=message))

    def close(self) -> None:
        """Close the connections and abandon requests in flight. Idempotent."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()

    def _transport(self, signal: str) -> _Transport:
        found = self._transports.get(signal)
        if found is not None:
            return found
        made = _connect(signal, self._variables[signal])
        # Another thread may have connected too, after the one of an earlier request hung.
        found = self._transports.setdefault(signal, made)
        if found is not made:
            made.close()
        return found

    def _reset(self) -> None:
        if self._transports:
            self._inherited.append(self._transports)
            self._transports = {}


def _import_all(protocol: str) -> None:
    """Import all that sending needs, before one of our threads needs it.

    A module that starts threads cannot be imported while the interpreter exits, which is
    when a short program sends its first batch. And if a process forks while a thread
    imports, its child waits for that import forever.
    """
    for name in (*_MODULES[protocol], _CODEC):
        import_module(name)


def _make_metrics(all_variables: dict[str, SignalVariables]) -> dict[str, ExporterMetrics]:
    try:
        return {signal: ExporterMetrics(signal, one) for signal, one in all_variables.items()}
    except Exception as error:  # noqa: BLE001 - a meter provider may be the user's code
        report_problem("OTLP: the metrics about requests are lost", error)
        return {}


def _connect(signal: str, variables: SignalVariables) -> _Transport:
    if variables.protocol == GRPC:
        from otel_ext.exporters.otlp.transport.grpc import GrpcTransport  # noqa: PLC0415

        return GrpcTransport(signal, variables)
    from otel_ext.exporters.otlp.transport.http import HttpTransport  # noqa: PLC0415

    return HttpTransport(variables)
