"""A receiver of OTLP/gRPC in the test process, whose answers the test sets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import (  # pyright: ignore[reportMissingTypeStubs]
    logs_service_pb2_grpc,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    Metadata = tuple[tuple[str, str | bytes], ...]

__all__ = ["GrpcReceiver", "Refusal", "grpc_receiver"]


class Refusal:
    """The answer of a receiver that refuses a request.

    Args:
        code: The name of a gRPC status code.
        details: The message.
        metadata: The trailing metadata.
    """

    def __init__(self, code: str, details: str = "not like this", metadata: Metadata = ()) -> None:
        self.code = code
        self.details = details
        self.metadata = metadata


class GrpcReceiver:
    """Keeps the names of the spans and log events that it has accepted."""

    def __init__(self) -> None:
        self.behave: Callable[[list[str]], Refusal | None] = lambda _: None
        self.spans: list[str] = []
        self.logs: list[str] = []
        self.sizes: list[int] = []
        self.headers: dict[str, dict[str, str]] = {}
        self.port = 0
        # How many records its answers reject, and why.
        self.rejects: tuple[int, str] = (0, "")
        self._lock = threading.Lock()

    def take(
        self,
        kept: list[str],
        names: Iterable[str],
        size: int,
        context: grpc.ServicerContext,
    ) -> None:
        """Refuse a request, or keep its names."""
        received = list(names)
        metadata = cast("Iterable[tuple[str, str]]", context.invocation_metadata())
        self.headers["spans" if kept is self.spans else "logs"] = dict(metadata)
        refusal = self.behave(received)
        if refusal is not None:
            context.set_trailing_metadata(refusal.metadata)
            context.abort(grpc.StatusCode[refusal.code], refusal.details)
        with self._lock:
            kept += received
            self.sizes.append(size)


def _trace_service(receiver: GrpcReceiver) -> trace_service_pb2_grpc.TraceServiceServicer:
    class Traces(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(  # noqa: N802 - the name in the protocol
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            names = (
                span.name
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            receiver.take(receiver.spans, names, request.ByteSize(), context)
            rejected, why = receiver.rejects
            partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=why)
            return ExportTraceServiceResponse(partial_success=partial)

    return Traces()


def _logs_service(receiver: GrpcReceiver) -> logs_service_pb2_grpc.LogsServiceServicer:
    class Logs(logs_service_pb2_grpc.LogsServiceServicer):
        def Export(  # noqa: N802 - the name in the protocol
            self, request: ExportLogsServiceRequest, context: grpc.ServicerContext
        ) -> ExportLogsServiceResponse:
            names = (
                log.body.string_value
                for resource in request.resource_logs
                for scope in resource.scope_logs
                for log in scope.log_records
            )
            receiver.take(receiver.logs, names, request.ByteSize(), context)
            rejected, why = receiver.rejects
            partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=why)
            return ExportLogsServiceResponse(partial_success=partial)

    return Logs()


@contextmanager
def grpc_receiver(
    credentials: grpc.ServerCredentials | None = None, *, takes_logs: bool = True, port: int = 0
) -> Generator[GrpcReceiver, None, None]:
    """Run a receiver on a port of loopback.

    Args:
        credentials: For TLS; None for none.
        takes_logs: Whether it has a service for logs.
        port: The port, without TLS; 0 for any.
    """
    made = GrpcReceiver()
    pool = ThreadPoolExecutor(4)
    server = grpc.server(pool)
    add_traces = trace_service_pb2_grpc.add_TraceServiceServicer_to_server  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    add_logs = logs_service_pb2_grpc.add_LogsServiceServicer_to_server  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    add_traces(_trace_service(made), server)  # type: ignore[no-untyped-call]
    if takes_logs:
        add_logs(_logs_service(made), server)  # type: ignore[no-untyped-call]
    if credentials is None:
        made.port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        made.port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield made
    finally:
        server.stop(0).wait()
        pool.shutdown()
