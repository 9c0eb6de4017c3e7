"""Takes OTLP over gRPC.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

# grpc has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingTypeArgument=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from otel_ext.server.http.receiving import grpc_code, otlp_answer
from otel_ext.server.intake import FORMS
from otel_ext.server.security.answers import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from otel_ext.server.intake import Form, Intake
    from otel_ext.server.security.bodies import ByteBudget
    from otel_ext.server.security.limits import ServerLimits
    from otel_ext.server.security.tokens import TokenAuthority

__all__ = ["GrpcServer"]

_SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class GrpcServer:
    """Serves one port.

    Args:
        intake: Keeps the records.
        executor: Runs what takes long.
        wake: Called in the event loop when records were added.
        limits: The sizes and times that are allowed.
        budget: What the requests of all ports count against.
        authority: Checks tokens; None if none is needed.
    """

    def __init__(
        self,
        intake: Intake,
        executor: Executor,
        wake: Callable[[], object],
        limits: ServerLimits,
        budget: ByteBudget,
        authority: TokenAuthority | None,
    ) -> None:
        self._intake = intake
        self._executor = executor
        self._wake = wake
        self._budget = budget
        self._authority = authority
        self._stop_seconds = limits.shutdown_seconds
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.wire_bytes),
                ("grpc.max_metadata_size", limits.header_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.max_concurrent_streams", limits.connections),
            ],
            maximum_concurrent_rpcs=limits.connections,
        )
        for service, name in _SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(self._exporter(FORMS[name]))
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
        async def export(body: bytes, context: grpc.aio.ServicerContext) -> bytes:
            await self._check_token(context)
            if not self._budget.take(len(body)):
                message = "The server has no memory left for more requests. Try again later."
                await context.abort(grpc.StatusCode.UNAVAILABLE, message)
            loop = asyncio.get_running_loop()
            try:
                taken = await loop.run_in_executor(self._executor, self._intake.take, form, body)
            except RequestError as error:
                code = _CODES[grpc_code(error.status)]
                await context.abort(code, str(error))
                raise
            finally:
                self._budget.give_back(len(body))
            if taken.lines:
                self._wake()
            return otlp_answer(form.signal, taken)

        return export

    async def _check_token(self, context: grpc.aio.ServicerContext) -> None:
        if self._authority is None:
            return
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        text = given if isinstance(given, str) else ""
        if not self._authority.accepts_bearer(text):
            hint = "Send the token of the server in the metadata: authorization: Bearer TOKEN."
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"The token is wrong. {hint}")
