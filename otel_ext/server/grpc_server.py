"""Takes OTLP over gRPC.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

# grpc has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeArgument=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from otel_ext.server.grpc_calls import MessageReader
from otel_ext.server.http.receiving import grpc_code, otlp_answer
from otel_ext.server.intake import FORMS
from otel_ext.server.security.answers import RequestError
from otel_ext.settings.units import KIB

if TYPE_CHECKING:
    from otel_ext.server.async_intake import AsyncIntake
    from otel_ext.server.intake import Form
    from otel_ext.server.security.bodies import BodyReader
    from otel_ext.server.security.limits import ServerLimits
    from otel_ext.server.security.tokens import TokenAuthority

__all__ = ["GrpcServer"]

_SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_UNAUTHORIZED: Final = 401
_WRONG_TOKEN: Final = RequestError(
    _UNAUTHORIZED,
    "The token is wrong",
    hint="Send the token of the server in the metadata: authorization: Bearer TOKEN.",
)
_IDENTITY_AND_GZIP: Final = 0b101
_CONNECTIONS_FACTOR: Final = 4
_CONNECTION_AGE_MS: Final = 600_000
_LOOKAHEAD_BYTES: Final = 64 * KIB - 1


class GrpcServer:
    """Serves one port.

    Args:
        intake: Keeps the records.
        bodies: Reads bodies.
        limits: The sizes and times that are allowed.
        authority: Checks tokens; None if none is needed.
    """

    def __init__(
        self,
        intake: AsyncIntake,
        bodies: BodyReader,
        limits: ServerLimits,
        authority: TokenAuthority | None,
    ) -> None:
        self._intake = intake
        self._authority = authority
        self._messages = MessageReader(limits, bodies)
        self._stop_seconds = limits.shutdown_seconds
        self._server = grpc.aio.server(options=_options(limits))
        for service, name in _SERVICES.items():
            # On the wire there is no difference to one request and one answer, but requests
            # are not read before the method asks for them.
            handler = grpc.stream_stream_rpc_method_handler(self._exporter(FORMS[name]))
            methods = {"Export": handler}
            generic = grpc.method_handlers_generic_handler(service, methods)
            self._server.add_generic_rpc_handlers((generic,))

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port.

        Args:
            host: The address.
            port: The port; 0 for any free one.

        Raises:
            OSError: It cannot listen there.
        """
        name = f"[{host}]" if ":" in host else host or "[::]"
        try:
            bound = self._server.add_insecure_port(f"{name}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {name}:{port}") from error
        await self._server.start()
        return int(bound)

    async def stop(self) -> None:
        """Finish the requests that were begun, and stop."""
        await self._server.stop(self._stop_seconds)

    def _exporter(self, form: Form) -> object:
        async def export(_: object, context: grpc.aio.ServicerContext) -> None:
            answer = await self._answer(form, context)
            if isinstance(answer, bytes):
                await context.write(answer)
            else:
                context.set_code(_code(answer))
                context.set_details(str(answer))

        return export

    async def _answer(self, form: Form, context: grpc.aio.ServicerContext) -> bytes | RequestError:
        """Return the answer, or an error.

        It is not raised in the method, nor is the call aborted: gRPC would keep the exception,
        and its traceback the message, for ever.
        """
        if not self._accepts(context):
            return _WRONG_TOKEN
        try:
            async with self._messages.read(context) as body:
                ingested = await self._intake.take(form, body)
        except RequestError as error:
            return error.with_traceback(None)
        return otlp_answer(form.signal, ingested)

    def _accepts(self, context: grpc.aio.ServicerContext) -> bool:
        """Whether a call has the token, if one is needed."""
        if self._authority is None:
            return True
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        return isinstance(given, str) and self._authority.accepts_bearer(given)


def _options(limits: ServerLimits) -> list[tuple[str, int]]:
    """Return the options of gRPC."""
    return [
        ("grpc.max_receive_message_length", limits.wire_bytes),
        # gRPC would decompress whole messages before any memory is counted.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
        # With probing, gRPC takes megabytes of messages that were not asked for.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", limits.connections),
        # gRPC refuses connections above the limit, and closes none for a new one as the HTTP
        # ports do: there are more, so that idle ones are less likely to keep others out.
        ("grpc.max_allowed_incoming_connections", _CONNECTIONS_FACTOR * limits.connections),
        ("grpc.max_connection_idle_ms", 1000 * limits.keep_alive_seconds),
        # Who never takes an answer is not idle. Others connect again without losing a call.
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", round(1000 * limits.body_seconds)),
        ("grpc.server_handshake_timeout_ms", round(1000 * limits.header_seconds)),
    ]


def _code(error: RequestError) -> grpc.StatusCode:
    if error.status == _UNAUTHORIZED:
        return grpc.StatusCode.UNAUTHENTICATED
    return _CODES[grpc_code(error.status)]
