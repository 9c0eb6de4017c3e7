"""Taking OTLP over HTTP and gRPC, and lines of records: kept before the answer."""

# grpc has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.programs import free_port, wait_until
from tests.server.http.running import LINES, Running, command_started, serving
from tests.store.records import span_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace.export import SpanExporter

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that is another process, so that all tests can share it."""
    folder = tmp_path_factory.mktemp("served") / "records"
    with command_started(folder, (free_port(), free_port(), free_port())) as (one, _):
        yield one


def request(trace: int, *, span_id: bytes = b"\1" * 8) -> ExportTraceServiceRequest:
    """Return a request with one span."""
    made = ExportTraceServiceRequest()
    span = made.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace.to_bytes(16, "big"), span_id, "sent"
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 5
    return made


def is_stored(running: Running, trace: int) -> bool:
    """Whether a trace is stored."""
    return running.client.get(f"/api/v1/traces/{trace:032x}").status_code == 200


@pytest.mark.parametrize("kind", ["http", "grpc", "http gzip", "grpc gzip"])
def test_the_usual_exporters(running: Running, kind: str) -> None:
    """Spans of OpenTelemetry's exporters are stored, with their service."""
    provider = TracerProvider(resource=Resource({"service.name": kind}))
    exporter: SpanExporter
    if kind.startswith("http"):
        from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415

        packed = Compression.Gzip if "gzip" in kind else Compression.NoCompression
        exporter = OTLPSpanExporter(f"{running.otlp}/v1/traces", compression=packed)
    else:
        chosen = grpc.Compression.Gzip if "gzip" in kind else grpc.Compression.NoCompression
        exporter = GrpcExporter(running.grpc, insecure=True, compression=chosen)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("one") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()
    path = f"/api/v1/traces/{trace_id}"
    wait_until(lambda: running.client.get(path).status_code == 200, "the trace is stored")
    assert running.ask("/traces", q=f'service:"{kind}"')["traces"][0]["trace_id"] == trace_id


def test_json(running: Running) -> None:
    """OTLP/JSON is answered by JSON, also on the viewer's port."""
    span = {"traceId": f"{77:032x}", "spanId": "0" * 15 + "1", "name": "j"}
    span |= {"startTimeUnixNano": str(10**18), "endTimeUnixNano": str(10**18 + 9)}
    body = gzip.compress(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    )
    for port in (running.otlp, running.ui):
        headers = {**JSON, "content-encoding": "gzip"}
        answer = httpx.post(f"{port}/v1/traces", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["content-type"] == "application/json"
    wait_until(lambda: is_stored(running, 77), "the trace is stored")


def test_a_part_that_is_refused(running: Running) -> None:
    """The answer counts what was refused and says why; the rest is kept."""
    body = request(78)
    body.resource_spans.extend(request(78, span_id=b"").resource_spans)
    answer = httpx.post(
        f"{running.otlp}/v1/traces", content=body.SerializeToString(), headers=PROTOBUF
    )
    assert answer.status_code == 200
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (partial.rejected_spans, bool(partial.error_message)) == (1, True)
    wait_until(lambda: is_stored(running, 78), "the rest is stored")


@pytest.mark.parametrize("path", ["traces", "logs"])
@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_a_malformed_body(running: Running, path: str, headers: dict[str, str]) -> None:
    """It is answered by 400 and a Status, in the encoding of the request."""
    answer = httpx.post(f"{running.otlp}/v1/{path}", content=b"\xff{", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == headers["content-type"]
    if headers is JSON:
        assert (answer.json()["code"], bool(answer.json()["message"])) == (3, True)
    else:
        status = Status.FromString(answer.content)
        assert (status.code, bool(status.message)) == (3, True)


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_a_body_that_is_too_large(running: Running, headers: dict[str, str]) -> None:
    """A bomb is answered by 413, in the encoding of the request."""
    body = gzip.compress(bytes(40 * 1024 * 1024))
    answer = httpx.post(
        f"{running.otlp}/v1/traces", content=body, headers={**headers, "content-encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == headers["content-type"]


def test_lines_of_records(running: Running) -> None:
    """Lines are kept; those that are no records are counted."""
    lines = [span_line("end", 2, trace=79), span_line("end", 1, trace=79, seq=2), b"garbage"]
    answer = running.client.post("/api/v1/records", content=b"\n".join(lines), headers=LINES)
    assert answer.json()["accepted"] == 2
    assert answer.json()["rejected"] == 1
    assert answer.json()["reasons"]
    wait_until(lambda: is_stored(running, 79), "the trace is stored")


def test_another_media_type(running: Running) -> None:
    """It is answered by 415 with what is taken."""
    answer = running.client.post("/api/v1/records", content=b"{}", headers={"content-type": "a/b"})
    assert answer.status_code == 415
    assert "application/x-ndjson" in answer.json()["error"]["hint"]


def test_grpc_errors(running: Running) -> None:
    """A malformed request is INVALID_ARGUMENT, a bomb RESOURCE_EXHAUSTED; then it goes on."""
    with grpc.insecure_channel(running.grpc) as channel:
        export = channel.unary_unary(EXPORT)
        with pytest.raises(grpc.RpcError) as raised:
            export(b"\xff\xff", timeout=20)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as raised:
            export(bytes(64 * 1024 * 1024), compression=grpc.Compression.Gzip, timeout=20)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        answer = export(request(80).SerializeToString(), timeout=20)
        assert ExportTraceServiceResponse.FromString(answer) == ExportTraceServiceResponse()
    wait_until(lambda: is_stored(running, 80), "the trace is stored")


def test_a_token_on_all_ports(tmp_path: Path) -> None:
    """Without it nothing is taken or shown but pages and probes; with it, all is."""
    token = "a-token-of-the-tests-0123"  # noqa: S105
    bearer = {"authorization": f"Bearer {token}"}
    body = request(81).SerializeToString()
    with serving(tmp_path, token=token) as one:
        for path in ("/api/v1/traces", "/api/v1/stream", "/api/v1/openapi.json", "/metrics"):
            assert one.client.get(path).status_code == 401, path
        for path in ("/", "/app.js", "/healthz", "/readyz"):
            assert one.client.get(path).status_code == 200, path
        assert one.client.post("/api/v1/records", content=b"", headers=LINES).status_code == 401
        assert one.client.get("/api/v1/traces", headers=bearer).status_code == 200
        url = f"{one.otlp}/v1/traces"
        assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 401
        assert httpx.post(url, content=body, headers={**PROTOBUF, **bearer}).status_code == 200
        with grpc.insecure_channel(one.grpc) as channel:
            export = channel.unary_unary(EXPORT)
            with pytest.raises(grpc.RpcError) as raised:
                export(body, timeout=20)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
            export(body, metadata=list(bearer.items()), timeout=20)
