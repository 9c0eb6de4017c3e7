"""`configure(otlp=True)`, `otel-ext run --otlp`, and programs with their own exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from otel_ext import configure
from otel_ext.exporters.otlp.detect import has_otlp_exporter
from tests.programs import (
    OTEL_EXT,
    environment,
    execute,
    python,
    records_in,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.otlp.sink import Collector, Sink

PROGRAM = """
from opentelemetry import trace
with trace.get_tracer("app").start_as_current_span("outer"):
    with trace.get_tracer("app").start_as_current_span("inner"):
        pass
"""
# To be put after PROGRAM: the outer span stays open until the test has seen its start.
WAITS = """\
    import os, time
    while not os.path.exists("seen"):
        time.sleep(0.01)
"""


class Wrapped(SpanExporter):
    """A wrapper around an exporter, as programs have them."""

    def __init__(self, inner: SpanExporter) -> None:
        self.inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass the spans on."""
        return self.inner.export(spans)


def test_configure_sends_beside_the_files(http_sink: Sink, tmp_path: Path) -> None:
    """Both get every record; the collector gets the ended span as a span."""
    provider = TracerProvider(shutdown_on_exit=False)
    folder = tmp_path / "traces"
    handle = configure(output=folder, otlp=True, otlp_grace="10ms", tracer_provider=provider)
    with provider.get_tracer("t").start_as_current_span("work"):
        wait_until(lambda: http_sink.starts("work"), "the start arrives")
    assert handle.shutdown()
    wait_until(lambda: http_sink.named("work"), "the span arrives")
    kinds = {record.event for record in records_in(folder)}
    assert {"work.start", "work.end", "process.start"} <= kinds


def test_the_command_sends_what_the_program_does(
    peers: tuple[Collector, Sink], tmp_path: Path
) -> None:
    """`otel-ext run --otlp` needs no change of the program; the records are complete at exit."""
    collector, sink = peers
    program = write_program(tmp_path, PROGRAM)
    done = execute(
        [OTEL_EXT, "run", "--otlp", "--output", tmp_path / "out", "--", *python(program)],
        cwd=tmp_path,
        env=environment(**collector.settings("http/protobuf")),
    )
    assert done.code == 0, done.err
    wait_until(lambda: len(sink.spans) >= 2, "the spans arrive")
    assert sorted(span.name for span in sink.spans) == ["inner", "outer"]
    wait_until(lambda: sink.of("otel_ext.process.end"), "the process's end arrives")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_each_span_is_sent_once_if_the_program_sends_too(
    peers: tuple[Collector, Sink], tmp_path: Path, protocol: str
) -> None:
    """Under opentelemetry-instrument with an OTLP exporter, ours sends events and no spans."""
    collector, sink = peers
    program = write_program(tmp_path, PROGRAM + WAITS)
    variables = {
        **collector.settings(protocol),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "console",  # `none` would drop our events too
        "OTEL_EXT_AUTO": "true",
        "OTEL_EXT_OTLP": "true",
    }
    command = ["opentelemetry-instrument", *python(program)]
    with started(command, cwd=tmp_path, env=environment(**variables)) as process:
        wait_until(sink.starts, "the start arrives")
        (tmp_path / "seen").touch()
        assert process.wait(50) == 0, (tmp_path / "output.txt").read_text("utf-8")
    wait_until(lambda: len(sink.spans) >= 2, "the spans arrive")
    wait_until(lambda: sink.of("otel_ext.process.end"), "the process's end arrives")
    assert sorted(span.name for span in sink.spans) == ["inner", "outer"]
    assert [start.body for start in sink.starts()] == ["outer.start"]


def test_an_exporter_of_the_program_is_found_wherever_it_is() -> None:
    """Batched or not, wrapped or derived, over HTTP or gRPC; other exporters do not count."""

    class Derived(OTLPSpanExporter):
        pass

    for exporter in (OTLPSpanExporter(), GrpcExporter(), Wrapped(OTLPSpanExporter()), Derived()):
        for kind in (BatchSpanProcessor, SimpleSpanProcessor):
            provider = TracerProvider(shutdown_on_exit=False)
            assert not has_otlp_exporter(provider)
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
            assert not has_otlp_exporter(provider)
            provider.add_span_processor(kind(exporter))
            assert has_otlp_exporter(provider)
            provider.shutdown()


def test_our_own_exporter_does_not_count(http_sink: Sink, tmp_path: Path) -> None:
    """It does not keep itself from sending spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    handle = configure(output=tmp_path / "out", otlp=True, tracer_provider=provider)
    provider.get_tracer("t").start_span("work").end()
    assert handle.flush()
    assert not has_otlp_exporter(provider)
    handle.shutdown()
    wait_until(lambda: http_sink.named("work"), "the span arrives")


def test_an_unknown_protocol_disables_only_the_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The wrong value is reported, and the files are still written."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier/pigeon")
    provider = TracerProvider(shutdown_on_exit=False)
    handle = configure(output=tmp_path / "out", otlp=True, tracer_provider=provider)
    provider.get_tracer("t").start_span("work").end()
    handle.shutdown()
    assert any(record.event == "work.end" for record in records_in(tmp_path / "out"))
    assert "carrier/pigeon" in capfd.readouterr().err


def test_nothing_of_otlp_is_imported_if_nothing_is_sent(tmp_path: Path) -> None:
    """Neither the exporters, nor protobuf, nor the HTTP client; only the declared settings."""
    program = write_program(
        tmp_path,
        """
import sys
import otel_ext
from opentelemetry import trace
otel_ext.configure()
trace.get_tracer("t").start_span("work").end()
heavy = ("google.protobuf", "grpc", "requests", "opentelemetry.exporter", "otel_ext.exporters.otlp")
declared = ("otel_ext.exporters.otlp", "otel_ext.exporters.otlp.settings")
print([name for name in sys.modules if name.startswith(heavy) and name not in declared])
""",
    )
    done = execute(python(program), cwd=tmp_path)
    assert done.out.strip() == "[]", done.out + done.err
