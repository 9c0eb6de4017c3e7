"""Backends that accept spans but no logs, such as Jaeger and Tempo; and data refused for good."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters import OTLPRecordExporter, ResilientExporter
from otel_ext.runtime.counters import COUNTERS
from tests.exporters import samples
from tests.otlp.grpc_receiver import grpc_receiver
from tests.otlp.sink import Answer, Sink
from tests.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
NAMES = ["checkout", "pay", "ship"]


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Generator[Sink, None, None]:
    """Run a receiver over HTTP and name it in the environment."""
    made = Sink()
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{made.port}")
    yield made
    made.close()


@contextmanager
def traces_only(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> Generator[Callable[[], list[str]], None, None]:
    """Run a backend without logs and name it in the environment; yields its spans."""
    monkeypatch.setenv(PROTOCOL, protocol)
    if protocol == "grpc":
        with grpc_receiver(takes_logs=False) as receiver:
            monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{receiver.port}")
            yield lambda: sorted(receiver.spans)
        return
    sink = Sink()
    sink.answers["logs"] = Answer(404)
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{sink.port}")
    try:
        yield lambda: sorted(span.name for span in sink.spans)
    finally:
        sink.close()


def send_three(exporter: OTLPRecordExporter | ResilientExporter) -> None:
    """Export starts and logs, then ends, of three spans, with a flush after each."""
    for number, name in enumerate(NAMES, 1):
        exporter.export(samples.start(name, number))
        exporter.export(samples.log(f"log of {name}"))
        exporter.force_flush(5_000)
    for number, name in enumerate(NAMES, 1):
        exporter.export(samples.end(name, number))
        exporter.force_flush(5_000)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("resilient", [True, False])
def test_spans_arrive_where_logs_are_not_accepted(
    protocol: str,
    resilient: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Every span arrives; one line reports that no logs are accepted; the disk queue is empty."""
    with traces_only(protocol, monkeypatch) as arrived:
        inner = OTLPRecordExporter(grace=0.001)
        # Another name, since a problem is reported once a minute.
        exporter = ResilientExporter(inner, folder=tmp_path, name="on disk") if resilient else inner
        send_three(exporter)
        wait_until(lambda: arrived() == NAMES, "the spans arrive")
        exporter.shutdown()
    printed = [line for line in capfd.readouterr().err.splitlines() if line.startswith("otel-ext:")]
    assert len(printed) == 1, printed
    assert "it accepts no logs, so only spans are sent from now on" in printed[0]
    assert not [path for path in (tmp_path / ".queue").rglob("*") if path.is_file()]


def test_logs_are_not_tried_again(sink: Sink) -> None:
    """After the answer that there is no such path, no log records are sent."""
    sink.answers["logs"] = Answer(404)
    exporter = OTLPRecordExporter(grace=0.001)
    exporter.export(samples.log("the first"))
    exporter.force_flush(5_000)
    unwanted = COUNTERS.value("remote.not_wanted")
    for number in range(5):
        exporter.export(samples.log("another"))
        exporter.export(samples.end("work", number + 1))
        exporter.force_flush(5_000)
    exporter.shutdown()
    assert sink.requests.count("/v1/logs") == 1
    assert len(sink.named("work")) == 5
    assert COUNTERS.value("remote.not_wanted") - unwanted == 5


def test_an_outage_of_logs_does_not_delay_spans(sink: Sink, tmp_path: Path) -> None:
    """The logs wait on disk, with their own circuit, and arrive later."""
    sink.answers["logs"] = Answer(503, retry_after="1")
    exporter = ResilientExporter(OTLPRecordExporter(grace=0.001), folder=tmp_path)
    send_three(exporter)
    wait_until(lambda: len(sink.spans) == 3, "the spans arrive")
    assert exporter.circuit == "open"
    assert exporter.waiting
    sink.events.clear()
    sink.answers.clear()
    wait_until(lambda: len(sink.of("otel_ext.log")) >= 3, "the logs arrive")
    exporter.shutdown()


def test_an_outage_of_logs_does_not_delay_spans_without_a_disk(sink: Sink) -> None:
    """The plain queue retries events, and sends spans meanwhile."""
    sink.answers["logs"] = Answer(503)
    exporter = OTLPRecordExporter(grace=0.001, shutdown_seconds=0.1)
    exporter.export(samples.log("waits"))
    assert not exporter.force_flush(5_000)
    exporter.export(samples.end("work", 1))
    wait_until(lambda: sink.named("work"), "the span arrives")
    sink.answers.clear()
    assert exporter.force_flush(5_000)
    assert sink.of("otel_ext.log")
    exporter.shutdown()


def test_bad_data_is_sent_once_and_set_aside(
    sink: Sink, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A span that is refused with 400 is not sent again, and does not open the circuit."""
    sink.answers["traces"] = Answer(400)
    exporter = ResilientExporter(OTLPRecordExporter(), folder=tmp_path)
    exporter.export(samples.end("bad", 1))
    exporter.force_flush(5_000)
    for _ in range(3):
        exporter.force_flush(5_000)
    assert exporter.circuit == "closed"
    exporter.shutdown()
    assert sink.requests.count("/v1/traces") == 1
    (file,) = (tmp_path / ".queue" / "dead-letter").glob("*.jsonl")
    assert '"refused":"' in file.read_text()
    assert not list((tmp_path / ".queue").glob("*.requests"))
    printed = [line for line in capfd.readouterr().err.splitlines() if line.startswith("otel-ext:")]
    assert len(printed) == 1, printed
    assert "answered 400" in printed[0]


@pytest.mark.parametrize("how", ["variable", "argument"])
def test_only_ends_are_sent_if_configured(
    how: str, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OTEL_LOGS_EXPORTER=none` and `ends_only` drop starts, logs and process records."""
    if how == "variable":
        monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    exporter = OTLPRecordExporter(grace=0.001, ends_only=how == "argument")
    send_three(exporter)
    exporter.shutdown()
    assert sorted(span.name for span in sink.spans) == NAMES
    assert sink.requests == ["/v1/traces"] * len(sink.requests)


def test_starts_that_are_sent_as_spans_need_no_logs(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `same-id` and `OTEL_LOGS_EXPORTER=none` they are sent."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    exporter = OTLPRecordExporter(encoding="same-id", grace=0.001)
    exporter.export(samples.start("work", 1))
    exporter.export(samples.log("left out"))
    exporter.force_flush(5_000)
    exporter.shutdown()
    assert [span.end_ns for span in sink.named("work")] == [0]
    assert sink.requests == ["/v1/traces"] * len(sink.requests)
