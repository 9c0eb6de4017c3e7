"""Encodes records as OTLP requests, and takes encoded requests apart.

`RequestCodec.encode` is the only way from records to bytes. What comes after it, the
persistent queue and the transports, has only the bytes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_ext.exporters.otlp.encoding.compiled import encode_log, encode_span
from otel_ext.exporters.otlp.encoding.spans import PROCESS_KEY
from otel_ext.exporters.otlp.encoding.values import ByteBudget, cut_text, encode_attributes
from otel_ext.exporters.otlp.encoding.wire import message, tag_of, text
from otel_ext.protocols import Request
from otel_ext.record.sanitise.budget import Budget
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, plain_fields
from otel_ext.record.sanitise.walk import Walker
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from google.protobuf.message import Message

    from otel_ext.exporters.otlp.encoding.encodings import Encoding
    from otel_ext.record.model import Process, Record, Scope

__all__ = ["LOGS", "SPANS", "RequestCodec"]

SPANS: Final = "spans"
LOGS: Final = "logs"

_Messages: TypeAlias = "RepeatedCompositeFieldContainer[Any]"

_REQUESTS: Final[dict[str, type[Message]]] = {
    SPANS: ExportTraceServiceRequest,
    LOGS: ExportLogsServiceRequest,
}
# From a request down to its records: resources, scopes, records.
_PATHS: Final = {
    SPANS: ("resource_spans", "scope_spans", "spans"),
    LOGS: ("resource_logs", "scope_logs", "log_records"),
}
# The names of ids in JSON.
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_MAX_KNOWN: Final = 1_024
# Bytes of a resource, which is part of each request beside the records.
_RESOURCE_BYTES: Final = 256 * 1024
# The fields of a request, of its parts, and of their parts; traces and logs have the same.
_RESOURCES: Final = tag_of(1, "length")
_HEAD: Final = tag_of(1, "length")
_PARTS: Final = tag_of(2, "length")
_SCHEMA_URL: Final = tag_of(3, "length")
# Those of Resource and InstrumentationScope.
_RESOURCE_ATTRIBUTES: Final = tag_of(1, "length")
_NAME: Final = tag_of(1, "length")
_VERSION: Final = tag_of(2, "length")
_SCOPE_ATTRIBUTES: Final = tag_of(3, "length")


class RequestCodec:
    """Encodes records as requests, and works on encoded requests, also of other releases.

    Args:
        encoding: How records that are not final are sent.
    """

    signals: tuple[str, ...] = (SPANS, LOGS)

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._resources: dict[str, bytes] = {}
        self._scopes: dict[tuple[Scope | None, str], bytes] = {}

    def signal_of(self, record: Record) -> str:
        """Return whether `record` is sent as a span or a log: `spans` or `logs`."""
        return SPANS if self._encoding.sends_as_span(record) else LOGS

    def encode(self, signal: str, records: Sequence[Record]) -> Request | None:
        """Return one request with all `records` that can be encoded.

        The others are counted as lost, and reported.

        Args:
            signal: `spans` or `logs`.
            records: The records, all of that signal.

        Returns:
            The request; None if none of the records can be encoded.
        """
        now = time_ns()
        encode: Callable[[Record], bytes] = self._encode_span
        if signal != SPANS:
            encode = partial(_encode_log, now)
        made: list[bytes] = []
        count = 0
        for of_process in _grouped(records, lambda record: record.process.id):
            process = of_process[0].process
            of_resource = [self._resource(process)]
            for group in _grouped(of_process, _scope_key):
                encoded = _encode_all(group, encode)
                if encoded:
                    count += len(encoded)
                    named = process if signal == SPANS else None
                    scope = self._scope(group[0].scope, named)
                    schema = group[0].scope.schema_url if group[0].scope is not None else ""
                    parts = [scope, *encoded, text(_SCHEMA_URL, cut_text(schema))]
                    of_resource.append(message(_PARTS, b"".join(parts)))
            if len(of_resource) > 1:
                of_resource.append(text(_SCHEMA_URL, cut_text(process.schema_url)))
                made.append(message(_RESOURCES, b"".join(of_resource)))
        return Request(signal, b"".join(made), count) if made else None

    def _encode_span(self, record: Record) -> bytes:
        return encode_span(record if record.is_real_end else self._encoding.as_span(record))

    def _resource(self, process: Process) -> bytes:
        """Return the field with the resource of a process, encoded once."""
        found = self._resources.get(process.id)
        if found is None:
            if len(self._resources) >= _MAX_KNOWN:
                self._resources.clear()
            plain = plain_fields(process.resource, Walker(Budget()), MAX_LINE_BYTES)[0]
            data = encode_attributes(_RESOURCE_ATTRIBUTES, plain, ByteBudget(_RESOURCE_BYTES))
            found = self._resources[process.id] = message(_HEAD, data)
        return found

    def _scope(self, scope: Scope | None, process: Process | None) -> bytes:
        """Return the field with a scope, encoded once for each process that it names."""
        key = (scope, "" if process is None else process.id)
        found = self._scopes.get(key)
        if found is None:
            if len(self._scopes) >= _MAX_KNOWN:
                self._scopes.clear()
            found = self._scopes[key] = message(_HEAD, _encode_scope(scope, process))
        return found

    def split(self, request: Request) -> Sequence[Request]:
        """Return the two halves of a request.

        One with a single record, or one that cannot be decoded, is returned alone.
        """
        middle = (request.records + 1) // 2
        try:
            halves = (_decode(request), _decode(request))
            path = _PATHS[request.signal]
        except (DecodeError, KeyError):
            return (request,)
        count = _keep(halves[0], path, 0, middle)
        if count <= middle:
            return (request,)
        _keep(halves[1], path, middle, count)
        return (
            request._replace(body=halves[0].SerializeToString(), records=middle),
            request._replace(body=halves[1].SerializeToString(), records=count - middle),
        )

    def join(self, requests: Sequence[Request]) -> Request:
        """Return one request with the records of all, at least one, of one signal."""
        # Protobuf reads messages that follow each other as one.
        body = b"".join([request.body for request in requests])
        return Request(requests[0].signal, body, sum(request.records for request in requests))

    def to_json(self, request: Request) -> bytes:
        """Return a request as one line of OTLP/JSON, without a newline.

        A collector accepts it as it is. One that cannot be decoded becomes an object with
        the `error` and the `body` in base64.
        """
        try:
            decoded: object = MessageToDict(_decode(request), use_integers_for_enums=True)
        except Exception as error:  # noqa: BLE001 - the data may be damaged
            reason = f"{type(error).__name__}: {error}"
            return orjson.dumps({"error": reason, "body": b64encode(request.body).decode()})
        return orjson.dumps(_with_hex_ids(decoded))


def _encode_log(observed_ns: int, record: Record) -> bytes:
    return encode_log(record, observed_ns)


def _grouped(records: Sequence[Record], key: Callable[[Record], str]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.values())


def _scope_key(record: Record) -> str:
    return record.scope.fragment if record.scope is not None else ""


def _encode_scope(scope: Scope | None, process: Process | None) -> bytes:
    made = b""
    if scope is not None:
        made = text(_NAME, cut_text(scope.name)) + text(_VERSION, cut_text(scope.version))
    if process is not None:
        made += encode_attributes(_SCOPE_ATTRIBUTES, {PROCESS_KEY: process.id}, ByteBudget())
    return made


def _encode_all(records: Sequence[Record], encode: Callable[[Record], bytes]) -> list[bytes]:
    """Return the fields with the records that can be encoded."""
    made: list[bytes] = []
    for record in records:
        try:
            made.append(message(_PARTS, encode(record)))
        except Exception as error:  # noqa: BLE001 - the others must be sent
            COUNTERS.add("remote.not_encoded")
            report_problem("OTLP: a record is lost", error)
    return made


def _children(message: Message, name: str) -> _Messages:
    return cast("_Messages", getattr(message, name))


def _decode(request: Request) -> Message:
    message = _REQUESTS[request.signal]()
    message.ParseFromString(request.body)
    return message


def _keep(message: Message, path: tuple[str, ...], start: int, stop: int) -> int:
    """Remove the records before `start` and from `stop` on; return how many there were."""
    children = _children(message, path[0])
    if len(path) == 1:
        count = len(children)
        del children[max(stop, 0) :]
        del children[: max(start, 0)]
        return count
    position = 0
    left_over: list[int] = []
    for index, child in enumerate(children):
        count = _keep(child, path[1:], start - position, stop - position)
        if position + count <= start or position >= stop:
            left_over.append(index)
        position += count
    for index in reversed(left_over):
        del children[index]
    return position


def _with_hex_ids(decoded: object) -> object:
    """Return decoded JSON with its ids in hex, as OTLP has them, instead of base64."""
    if isinstance(decoded, list):
        return [_with_hex_ids(item) for item in cast("list[object]", decoded)]
    if not isinstance(decoded, dict):
        return decoded
    return {
        key: b64decode(cast("str", value)).hex() if key in _IDS else _with_hex_ids(value)
        for key, value in cast("dict[str, object]", decoded).items()
    }
