"""OTLP without code: every span arrives once, whichever configurator sets up the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.distributions import install
from tests.otlp.sink import collecting
from tests.programs import (
    INSTRUMENT,
    OTEL_EXT,
    environment,
    python,
    spans_in,
    started,
    wait_until,
    write_program,
)
from tests.sdk import CONFIG_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.otlp.sink import Sink

PROGRAM = """\
import os, sqlite3, time
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("work"):
    sqlite3.connect(":memory:").cursor().execute("SELECT 1")
    while not os.path.exists("seen"):
        time.sleep(0.01)
"""
OTHER = """\
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

class Configurator:
    def configure(self, **_):
        trace.set_tracer_provider(TracerProvider(resource=Resource({"service.name": "declared"})))
"""
ENTRY_POINTS = "[opentelemetry_configurator]\nanother = another:Configurator\n"
DECLARED = """\
file_format: "1.1"
resource:
  attributes:
    - {{name: service.name, value: declared}}
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}
"""
# For logs, `none` would also disable the starts of spans.
SETTINGS = {
    "OTEL_EXT_OUTPUT": "traces",
    "OTEL_EXT_OTLP_GRACE": "0",  # sends each start at once
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "console",
}


def send(folder: Path, command: list[str], protocol: str, **variables: str) -> Sink:
    """Run the program under `command` with a real collector; return what that forwards to."""
    program = python(write_program(folder, PROGRAM))
    with collecting(folder) as (collector, sink):
        env = {**SETTINGS, **collector.settings(protocol)}
        named = variables.get("OTEL_CONFIG_FILE")
        if named is not None:
            text = DECLARED.format(endpoint=env["OTEL_EXPORTER_OTLP_ENDPOINT"])
            write_program(folder, text, named)
        env = environment(**{**env, **variables})
        with started([*command, *program], cwd=folder, env=env) as process:
            wait_until(lambda: sink.starts("work"), "the start arrives")
            (folder / "seen").touch()
            code = process.wait(50)
        printed = (folder / "output.txt").read_text("utf-8")
        assert code == 0, printed
        wait_until(lambda: len(sink.spans) >= 2, "the spans arrive")
        sent_by_stock = not all(span.process for span in sink.named("work"))
        assert ("leave out OTLPSpanExporter" in printed) == sent_by_stock, printed
    return sink


def assert_each_once(folder: Path, sink: Sink) -> None:
    """Check that each recorded span has arrived once."""
    ends = [one for one in spans_in(folder / "traces") if one.phase == "end"]
    assert sorted((span.trace_id, span.span_id) for span in sink.spans) == sorted(
        (one.trace_id, one.span_id) for one in ends
    )
    assert sorted(span.name for span in sink.spans) == ["SELECT", "work"]
    (start,) = sink.starts("work")
    (work,) = sink.named("work")
    assert (start.trace_id, start.span_id) == (work.trace_id, work.span_id)
    assert start.resource["service.name"] == work.resource["service.name"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_otel_ext_run_sends(tmp_path: Path, protocol: str) -> None:
    """`otel-ext run --otlp` sends spans of the program and of the instrumentations."""
    sink = send(tmp_path, [OTEL_EXT, "run", "--otlp", "--"], protocol)
    assert_each_once(tmp_path, sink)


@pytest.mark.parametrize("exporters", ["otlp", "console, otlp_proto_http"])
def test_ours_replaces_the_stock_exporter_when_asked(tmp_path: Path, exporters: str) -> None:
    """The stock one is not set up, others are; without the setting the stock one sends."""
    command, variables = [OTEL_EXT, "run", "--otlp", "--"], {"OTEL_TRACES_EXPORTER": exporters}
    replaced, kept = tmp_path / "replaced", tmp_path / "kept"
    replaced.mkdir()
    sink = send(replaced, command, "http/protobuf", **variables, OTEL_EXT_OTLP_SPANS="replace")
    assert_each_once(replaced, sink)
    assert all(span.process for span in sink.spans)
    assert ('"name": "work"' in (replaced / "output.txt").read_text()) == ("console" in exporters)
    kept.mkdir()
    sink = send(kept, command, "http/protobuf", **variables)
    assert_each_once(kept, sink)
    assert not any(span.process for span in sink.spans)


AUTO = {"OTEL_EXT_AUTO": "true", "OTEL_EXT_OTLP": "true"}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("exporter", ["none", "otlp"])
def test_with_the_official_distribution(tmp_path: Path, protocol: str, exporter: str) -> None:
    """If the SDK has an OTLP exporter, that sends the ends; otel-ext sends the starts."""
    sink = send(tmp_path, [INSTRUMENT], protocol, **AUTO, OTEL_TRACES_EXPORTER=exporter)
    assert_each_once(tmp_path, sink)


def test_with_another_configurator(tmp_path: Path) -> None:
    """A provider of a third-party configurator keeps its resource, also in what we send."""
    install(tmp_path / "lib", "another", OTHER, entry_points=ENTRY_POINTS)
    variables = {"PYTHONPATH": str(tmp_path / "lib"), "OTEL_PYTHON_CONFIGURATOR": "another"}
    sink = send(tmp_path, [INSTRUMENT], "http/protobuf", **AUTO, **variables)
    assert_each_once(tmp_path, sink)
    assert sink.named("work")[0].resource["service.name"] == "declared"


@CONFIG_FILES
def test_with_a_configuration_file(tmp_path: Path) -> None:
    """An OTLP exporter in OTEL_CONFIG_FILE sends the ends; otel-ext sends the starts."""
    sink = send(tmp_path, [INSTRUMENT], "http/protobuf", **AUTO, OTEL_CONFIG_FILE="otel.yaml")
    assert_each_once(tmp_path, sink)
    assert sink.named("work")[0].resource["service.name"] == "declared"
