"""A real Collector with a pipeline for traces and no pipeline for logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collector import otelcol
from tests.programs import OTEL_EXT, environment, python, started, wait_until, write_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.collector

TRACES_ONLY = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:OTLP_GRPC}"}
      http: {endpoint: "${env:OTLP_HTTP}"}
exporters:
  file: {path: collected/spans.json, create_directory: true, flush_interval: 100ms}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [file]}
"""
PROGRAM = """
import os, time
from opentelemetry import trace
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("checkout"):
    with tracer.start_as_current_span("pay"):
        time.sleep(0.1)
    with tracer.start_as_current_span("ship"):
        time.sleep(1.5)  # longer than the grace
        while not os.path.exists("seen"):
            time.sleep(0.01)
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_all_spans_arrive_at_a_collector_without_logs(tmp_path: Path, protocol: str) -> None:
    """Also a span that runs longer than its grace; nothing is left on disk."""
    configuration = tmp_path / "traces.yaml"
    configuration.write_text(TRACES_ONLY)
    program = write_program(tmp_path, PROGRAM)
    with otelcol.running(str(configuration), tmp_path) as ports:
        port = ports["grpc" if protocol == "grpc" else "http"]
        command = [OTEL_EXT, "run", "--otlp", "--output", "out", "--", *python(program)]
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        output = tmp_path / "output.txt"
        with started(command, cwd=tmp_path, env=env) as process:
            # A start is refused; the spans themselves come later.
            wait_until(lambda: "it accepts no logs" in output.read_text("utf-8"), "a refusal")
            (tmp_path / "seen").touch()
            assert process.wait(50) == 0, output.read_text("utf-8")
        assert output.read_text("utf-8").count("it accepts no logs") == 1
        wait_until(lambda: len(otelcol.spans(tmp_path)) >= 3, "the spans arrive")
        assert sorted(str(span["name"]) for span in otelcol.spans(tmp_path)) == [
            "checkout",
            "pay",
            "ship",
        ]
    left = [path for path in (tmp_path / "out" / ".queue").rglob("*") if path.is_file()]
    assert not left
