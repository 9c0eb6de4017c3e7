"""Programs with their own OTLP exporter, and runs that share a folder with another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_ext import configure
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from tests.exporters import samples
from tests.exporters.samples import Counted
from tests.otlp.sink import Answer, Sink
from tests.programs import environment, execute, python, wait_until, write_program
from tests.sdk import since

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize("raises", [False, True])
def test_if_another_exporter_sends_spans_ours_does_not(receiver: Sink, raises: bool) -> None:
    """Ours sends logs and made-up ends; if the function raises, it sends real ends too."""

    def spans() -> bool:
        if raises:
            raise samples.SpoiltError
        return False

    counted = Counted()
    exporter = OTLPRecordExporter(spans=spans)
    exporter.export(samples.end("work", 1))
    exporter.export(samples.end("lost", 2, abandoned="exit"))
    exporter.export(samples.log("told"))
    assert exporter.force_flush(5_000)
    assert [span.name for span in receiver.spans] == (["work"] if raises else [])
    assert [event.body for event in receiver.of("otel_ext.span.end")] == ["lost.end"]
    assert receiver.of("otel_ext.log")
    assert counted("remote.left_to_others") == (0 if raises else 1)
    assert not exporter.queue.finals.held
    exporter.shutdown()


RUN = """
import pathlib, sys, time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import otel_ext
provider = TracerProvider()
if sys.argv[1] == "with its own":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
handle = otel_ext.configure(otlp=True, output="out", console="off")
for _ in range(50):
    trace.get_tracer("t").start_span(sys.argv[1]).end()
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    handle.flush(1)
    if not list(pathlib.Path("out/.queue").glob("*.requests")):
        break
    time.sleep(0.2)
"""


def test_spans_left_on_disk_are_sent_by_a_run_with_its_own_exporter(
    receiver: Sink, tmp_path: Path
) -> None:
    """Its exporter sends only its own spans; ours sends those of the earlier run."""
    program = write_program(tmp_path, RUN)
    unreachable = {ENDPOINT: "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    first = execute(python(program, "alone", "0"), cwd=tmp_path, env=environment(**unreachable))
    assert first.code == 0, first.err
    assert list((tmp_path / "out" / ".queue").glob("*.requests"))
    reachable = {ENDPOINT: f"http://127.0.0.1:{receiver.port}"}
    words = python(program, "with its own", "20")
    second = execute(words, cwd=tmp_path, env=environment(**reachable))
    assert second.code == 0, second.err
    wait_until(lambda: len(receiver.named("alone")) == 50, "those left on disk arrive")
    assert len(receiver.named("with its own")) == 50
    assert not list((tmp_path / "out" / ".queue").glob("*.requests"))


@since(36, "the program's own exporter keeps to its timeout")
def test_spans_of_another_exporter_are_not_kept_for_later(receiver: Sink, tmp_path: Path) -> None:
    """After an outage ours would send them a second time."""
    receiver.answer = Answer(503)
    provider = TracerProvider(shutdown_on_exit=False)
    own = SimpleSpanProcessor(OTLPSpanExporter(timeout=0.2))
    provider.add_span_processor(own)
    handle = configure(
        output=tmp_path, otlp=True, tracer_provider=provider, console="off", retry_failures=1
    )
    still_open = provider.get_tracer("t").start_span("open")
    assert handle.flush(5)  # its start fails, so the next batch is not even tried
    provider.get_tracer("t").start_span("sent by the other").end()
    assert handle.flush(5)
    handle.shutdown()
    receiver.answer = Answer()
    receiver.spans.clear()
    kept = b"".join(file.read_bytes() for file in (tmp_path / ".queue").glob("*.requests"))
    assert b"open.start" in kept
    assert b"sent by the other" not in kept
    assert still_open.is_recording()
    provider = TracerProvider(shutdown_on_exit=False)
    handle = configure(output=tmp_path, otlp=True, tracer_provider=provider, console="off")
    provider.get_tracer("t").start_span("wake").end()
    wait_until(lambda: not list((tmp_path / ".queue").glob("*.requests")), "it is sent")
    handle.shutdown()
    assert {span.name for span in receiver.spans} == {"wake"}
