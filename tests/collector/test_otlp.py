"""Records to the real Collector over OTLP, with both protocols, and how it routes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_ext.exporters.otlp.encoding.encodings import ENCODINGS
from otel_ext.exporters.otlp.encoding.requests import SPANS, RequestCodec
from otel_ext.record.timestamps import format_ns
from tests.collector.otelcol import logs, running, settled, spans
from tests.exporters import samples
from tests.programs import (
    OTEL_EXT,
    SCRIPTS,
    environment,
    python,
    records_in,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collector.otelcol import Log

pytestmark = pytest.mark.collector

PROGRAM = """\
import os
import sqlite3
import time
import otel_ext
import structlog
from opentelemetry import trace

otel_ext.configure_structlog()
with trace.get_tracer("shop").start_as_current_span("order", attributes={"cart": {"items": 3}}):
    structlog.get_logger("shop").warning("low", left=2)
    sqlite3.connect(":memory:").cursor().execute("SELECT 1")
    while not os.path.exists("seen"):
        time.sleep(0.01)
"""


def settings(ports: dict[str, int], protocol: str) -> dict[str, str]:
    """Return the variables that send to the Collector with a protocol."""
    return {
        "OTEL_EXT_OUTPUT": "traces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports[protocol]}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": {"grpc": "grpc", "http": "http/protobuf"}[protocol],
        "OTEL_SERVICE_NAME": "shop",
    }


def starts(folder: Path) -> list[Log]:
    """Return the starts of spans that have arrived."""
    return [log for log in logs(folder, "inflight") if log.event == "otel_ext.span.start"]


@pytest.mark.parametrize("way", ["otel-ext run --otlp", "opentelemetry-instrument"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_each_kind_of_record_takes_its_route(tmp_path: Path, protocol: str, way: str) -> None:
    """Spans arrive as spans, starts of long ones as events, and logs apart from them."""
    program = python(write_program(tmp_path, PROGRAM))
    with running("otlp.yaml", tmp_path) as ports:
        wanted = settings(dict(ports), protocol)
        if way == "opentelemetry-instrument":
            wanted |= {"OTEL_EXT_AUTO": "true", "OTEL_EXT_OTLP": "true"}
            wanted |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
            wanted |= {"OTEL_LOGS_EXPORTER": "console"}  # `none` would drop our events too
            command = [str(SCRIPTS / "opentelemetry-instrument"), *program]
        else:
            command = [OTEL_EXT, "run", "--otlp", "--", *program]
        with started(command, cwd=tmp_path, env=environment(**wanted)) as process:
            wait_until(lambda: starts(tmp_path), "the start arrives")
            (tmp_path / "seen").touch()
            assert process.wait(50) == 0, (tmp_path / "output.txt").read_text("utf-8")
        settled(lambda: len(spans(tmp_path)), 2, "both spans arrive")
        settled(lambda: len(logs(tmp_path, "logs")), 1, "the log arrives")
    ends = {one.name: one for one in records_in(tmp_path / "traces") if one.phase == "end"}
    assert {(span["name"], span["traceId"], span["spanId"]) for span in spans(tmp_path)} == {
        (one.name, one.trace_id, one.span_id) for one in ends.values()
    }
    assert set(ends) == {"order", "SELECT"}
    order = ends["order"]
    (start,) = starts(tmp_path)
    assert (start.body, start.trace_id, start.span_id) == (
        "order.start",
        order.trace_id,
        order.span_id,
    )
    assert format_ns(start.time_ns) == format_ns(order.start_ns or 0)
    assert start.attributes["cart"] == {"items": 3}
    (low,) = logs(tmp_path, "logs")
    assert (low.body, low.span_id, low.severity, low.attributes["left"]) == (
        "low",
        order.span_id,
        13,
        2,
    )


def test_a_dead_letter_can_be_sent_by_hand(tmp_path: Path) -> None:
    """The JSON that people see of a request is OTLP/JSON, which the Collector accepts."""
    record = samples.end(
        "order", 1, attributes={"n": 7, "sizes": [1.5, True], "raw": b"\x00", "who": "Ünn"}
    )
    codec = RequestCodec(ENCODINGS["events"])
    request = codec.encode(SPANS, [record])
    assert request is not None
    with running("otlp.yaml", tmp_path) as ports:
        answer = requests.post(
            f"http://127.0.0.1:{ports['http']}/v1/traces",
            data=codec.to_json(request),
            headers={"content-type": "application/json"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        settled(lambda: len(spans(tmp_path)), 1, "the span arrives")
    (span,) = spans(tmp_path)
    assert (span["name"], span["traceId"], span["spanId"]) == (
        "order",
        record.trace_id,
        record.span_id,
    )
    (sent,) = ExportTraceServiceRequest.FromString(request.body).resource_spans
    assert span["attributes"] == MessageToDict(sent.scope_spans[0].spans[0])["attributes"]
