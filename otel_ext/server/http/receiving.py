"""Routes that take records: OTLP over HTTP, and lines of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response
from starlette.routing import Route

from otel_ext.server.api.routes import LINE_TYPES, PREFIX, RECORDS_PATH
from otel_ext.server.http.json_answers import JSON, json_answer
from otel_ext.server.intake import FORMS
from otel_ext.server.security.answers import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from otel_ext.server.async_intake import AsyncIntake
    from otel_ext.server.ingest.result import Ingested
    from otel_ext.server.intake import Form
    from otel_ext.server.security.bodies import BodyReader

__all__ = ["Receiver", "grpc_code", "otlp_answer"]

PROTOBUF: Final = "application/x-protobuf"

_INVALID_ARGUMENT: Final = 3
_GRPC_CODES: Final = {408: 4, 413: 8, 503: 14}


def grpc_code(status: int) -> int:
    """Return the code of gRPC for a status of HTTP; without one, the request is wrong.

    >>> grpc_code(503), grpc_code(400)
    (14, 3)
    """
    return _GRPC_CODES.get(status, _INVALID_ARGUMENT)


def otlp_answer(signal: str, ingested: Ingested) -> bytes:
    """Return the answer to a request of OTLP in protobuf.

    Args:
        signal: `spans` or `logs`.
        ingested: What became of it.
    """
    if signal == "spans":
        traces = ExportTraceServiceResponse()
        if ingested.rejected or ingested.reasons:
            traces.partial_success.rejected_spans = ingested.rejected
            traces.partial_success.error_message = ingested.reasons
        return traces.SerializeToString()
    logs = ExportLogsServiceResponse()
    if ingested.rejected or ingested.reasons:
        logs.partial_success.rejected_log_records = ingested.rejected
        logs.partial_success.error_message = ingested.reasons
    return logs.SerializeToString()


def _json_answer(signal: str, ingested: Ingested) -> bytes:
    if not ingested.rejected and not ingested.reasons:
        return b"{}"
    key = "rejectedSpans" if signal == "spans" else "rejectedLogRecords"
    partial = {key: str(ingested.rejected), "errorMessage": ingested.reasons}
    return orjson.dumps({"partialSuccess": partial})


class Receiver:
    """Makes the routes that take records.

    Args:
        intake: Keeps the records.
        bodies: Reads bodies.
    """

    def __init__(self, intake: AsyncIntake, bodies: BodyReader) -> None:
        self._intake = intake
        self._bodies = bodies

    def otlp_routes(self) -> list[Route]:
        """Return the routes of OTLP."""
        return [
            Route("/v1/traces", self._traces, methods=["POST"]),
            Route("/v1/logs", self._logs, methods=["POST"]),
        ]

    def records_route(self) -> Route:
        """Return the route for lines of records."""
        return Route(f"{PREFIX}{RECORDS_PATH}", self._records, methods=["POST"])

    async def _traces(self, request: Request) -> Response:
        return await self._otlp(request, {PROTOBUF: FORMS["traces"], JSON: FORMS["traces-json"]})

    async def _logs(self, request: Request) -> Response:
        return await self._otlp(request, {PROTOBUF: FORMS["logs"], JSON: FORMS["logs-json"]})

    async def _otlp(self, request: Request, forms: Mapping[str, Form]) -> Response:
        try:
            async with self._bodies.read(request.scope, request.receive, forms) as body:
                form = forms[body.media_type]
                ingested = await self._intake.take(form, body.data)
        except RequestError as error:
            return _failure(error, is_json=_is_json(request))
        is_json = body.media_type == JSON
        content = (_json_answer if is_json else otlp_answer)(form.signal, ingested)
        return Response(content, media_type=body.media_type)

    async def _records(self, request: Request) -> Response:
        async with self._bodies.read(request.scope, request.receive, LINE_TYPES) as body:
            ingested = await self._intake.take(FORMS["records"], body.data)
        document = {
            "accepted": ingested.records,
            "rejected": ingested.rejected,
            "reasons": ingested.reasons,
        }
        return json_answer(document)


def _is_json(request: Request) -> bool:
    """Whether a request says that its body is JSON; it may be wrong in other ways."""
    given = request.headers.get("content-type", "")
    return given.partition(";")[0].strip().lower() == JSON


def _failure(error: RequestError, *, is_json: bool) -> Response:
    """Return an error as OTLP has it: a `google.rpc.Status`, in the encoding of the request.

    https://opentelemetry.io/docs/specs/otlp/#failures
    """
    code = grpc_code(error.status)
    text = str(error)
    if is_json:
        content = orjson.dumps({"code": code, "message": text})
    else:
        content = Status(code=code, message=text).SerializeToString()
    response = Response(content, status_code=error.status, media_type=JSON if is_json else PROTOBUF)
    response.raw_headers.extend(error.headers)
    return response
