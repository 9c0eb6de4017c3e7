"""`ResilientExporter` with the real processor: isolation, exit, health, outages of a collector."""

from __future__ import annotations

import threading
import time
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, set_span_in_context

from otel_ext.errors import ConfigError
from otel_ext.exporters.console.exporter import ConsoleExporter
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.resilient import ResilientExporter
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.fanout import FanOut
from otel_ext.exporters.jsonl import JsonlExporter
from otel_ext.exporters.otlp.exporter import OTLPRecordExporter
from otel_ext.processors.lifecycle import LifecycleSpanProcessor
from otel_ext.protocols import RecordExporter
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health
from tests.otlp.sink import collecting
from tests.programs import spans_in, wait_until
from tests.resilient.destination import Answer, LineSender, destination, finals

if TYPE_CHECKING:
    from pathlib import Path

    from tests.resilient.destination import Destination

QUICK = RemoteSettings(retry_failures=2, retry_initial_interval=0.1, retry_max_interval=0.3)


def provider_for(exporter: RecordExporter) -> TracerProvider:
    """Return a provider that exports to `exporter`."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(exporter))
    return provider


def ended(names: list[str]) -> list[str]:
    """Return the sorted names of this test's spans."""
    return sorted(name for name in names if name.startswith("work"))


def arrives(there: Destination, folder: Path, name: str) -> None:
    """Wait until a span has arrived at a destination and in the files."""
    wait_until(lambda: name in there.names(), "the other got it", timeout=5)
    wait_until(lambda: spans_in(folder, name), "the file has it", timeout=5)


def test_it_is_an_exporter(tmp_path: Path) -> None:
    """It works wherever an exporter does, around an exporter or a sender."""
    with destination() as there:
        exporter = ResilientExporter(LineSender(there.url), folder=tmp_path)
        assert isinstance(exporter, RecordExporter)
        provider = provider_for(exporter)
        for number in range(30):
            provider.get_tracer("t").start_span(f"work {number}").end()
        assert provider.force_flush(5_000)
        assert ended(there.names()) == sorted(f"work {number}" for number in range(30))
        provider.shutdown()
        provider.shutdown()
        assert there.names()[-1] == "process.end"


def test_anything_else_is_refused() -> None:
    """An exporter that does not send cannot be wrapped; the error names what can."""
    with pytest.raises(ConfigError, match="OTLPRecordExporter"):
        ResilientExporter(JsonlExporter("traces"), folder=None)  # type: ignore[arg-type]


def test_a_destination_that_hangs_delays_neither_the_other_nor_the_files(tmp_path: Path) -> None:
    """Beside one that never answers, the other and the journal get every record soon."""
    with destination(lambda _: Answer(hang=30)) as hanging, destination() as good:
        one = ResilientExporter(
            LineSender(hanging.url, timeout=30), folder=tmp_path, name="hanging", settings=QUICK
        )
        other = ResilientExporter(LineSender(good.url), folder=tmp_path, name="good")
        provider = provider_for(FanOut(JsonlExporter(tmp_path), one, other))
        tracer = provider.get_tracer("t")
        tracer.start_span("work").end()
        wait_until(lambda: hanging.requests, "the first one hangs")
        for number in range(100):
            began = time.monotonic()
            tracer.start_span(f"work {number}").end()
            if number % 20 == 0:
                arrives(good, tmp_path, f"work {number}")
                assert time.monotonic() - began < 15
        began = time.monotonic()
        provider.shutdown()
        assert time.monotonic() - began < 15
        assert len(ended(good.names())) == 101
    # No record for the one that hung is lost.
    with destination() as back:
        again = ResilientExporter(LineSender(back.url), folder=tmp_path, name="hanging")
        again.export(finals(1, "wake")[0])
        wait_until(lambda: len(set(ended(back.names()))) == 101, "it is sent later")
        again.shutdown()


def test_exit_is_bounded_and_nothing_is_lost(tmp_path: Path) -> None:
    """With a full queue and a destination that hangs, shutdown is in time, and all is on disk."""
    with destination(lambda _: Answer(hang=30)) as hanging:
        exporter = ResilientExporter(
            LineSender(hanging.url, timeout=30), folder=tmp_path, shutdown_seconds=0.5
        )
        before = COUNTERS.value("remote.persisted")
        for record in finals(8_000):
            exporter.export(record)
        began = time.monotonic()
        exporter.shutdown()
        assert time.monotonic() - began < 15
        assert COUNTERS.value("remote.persisted") - before >= 8_000


@pytest.mark.slow
def test_a_fan_out_leaves_time_to_store_what_cannot_be_sent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the defaults of both: all is on disk before the exporter could be left behind."""
    with destination(lambda _: Answer(hang=30)) as hanging:
        exporter = ResilientExporter(LineSender(hanging.url, timeout=30), folder=tmp_path)
        fan_out = FanOut(ConsoleExporter(StringIO()), exporter)
        before = COUNTERS.value("remote.persisted")
        for record in finals(5_000):
            exporter.export(record)
        fan_out.shutdown()
        assert COUNTERS.value("remote.persisted") - before >= 5_000
    assert "left behind" not in capfd.readouterr().err


def test_a_flush_keeps_its_timeout(tmp_path: Path) -> None:
    """A flush that is not done returns False at its timeout."""
    with destination(lambda _: Answer(hang=30)) as hanging:
        exporter = ResilientExporter(
            LineSender(hanging.url, timeout=30), folder=tmp_path, shutdown_seconds=0.2
        )
        exporter.export(finals(1)[0])
        began = time.monotonic()
        assert not exporter.force_flush(700)
        assert time.monotonic() - began < 15
        exporter.shutdown()


def test_a_flush_in_an_outage_is_done_when_all_is_on_disk(tmp_path: Path) -> None:
    """Records on disk count as flushed; health shows that they are not sent, until it ends."""
    exporter = ResilientExporter(LineSender("http://127.0.0.1:9/"), folder=tmp_path, settings=QUICK)
    for record in finals(600):
        exporter.export(record)
    assert exporter.force_flush(10_000)
    assert exporter.waiting >= 600
    part = health().part("remote circuit")
    assert part is not None
    assert part.state in {"failed", "degraded"}
    exporter.shutdown()
    ended = [part.state for part in health().parts if part.name in {"remote", "remote circuit"}]
    assert set(ended) == {"healthy"}


def test_a_full_disk_does_not_affect_the_program(tmp_path: Path) -> None:
    """If neither destination nor disk accepts records, the queue keeps what it can."""
    (tmp_path / ".queue").write_text("a file in the folder's place")
    with destination(lambda _: Answer(503)) as there:
        exporter = ResilientExporter(LineSender(there.url), folder=tmp_path, settings=QUICK)
        for record in finals(600):
            exporter.export(record)
        wait_until(lambda: COUNTERS.value("remote.persist_failed"), "the disk is tried")
        there.behave = lambda _: Answer()
        wait_until(lambda: len(set(there.names())) >= 600, "all arrive in the end")
        exporter.shutdown()


def test_threads_end_with_their_exporter(tmp_path: Path) -> None:
    """Many exporters, one after the other, leave no threads behind."""
    with destination() as there:
        for number in range(5):
            exporter = ResilientExporter(
                LineSender(there.url), folder=tmp_path, name=f"number {number}"
            )
            exporter.export(finals(1)[0])
            assert exporter.force_flush(5_000)
            exporter.shutdown()

    def left() -> list[str]:
        return [one.name for one in threading.enumerate() if "number" in one.name]

    wait_until(lambda: not left(), f"threads end: {left()}")


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_collector_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Killed for seconds under load: every final span and every start of a long one arrives."""
    with collecting(tmp_path) as (collector, sink):
        for name, value in collector.settings(protocol).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
        queue = OTLPRecordExporter(grace=0.1)
        provider = provider_for(ResilientExporter(queue, folder=tmp_path, settings=QUICK))
        tracer = provider.get_tracer("t")
        full = COUNTERS.value("remote.full_finals")
        names: set[str] = set()
        long: list[Span] = []
        for second in range(10):
            if second == 3:
                assert provider.force_flush(10_000)
                wait_until(lambda: names <= {one.name for one in sink.spans}, "all so far")
                collector.kill()
            if second == 7:
                collector.start()
            long.append(tracer.start_span(f"work of second {second}"))
            until = time.monotonic() + 0.7
            for number in range(500):
                name = f"work {second}-{number}"
                tracer.start_span(name, set_span_in_context(long[-1])).end()
                names.add(name)
            time.sleep(max(until - time.monotonic(), 0))
        wait_until(lambda: names <= {one.name for one in sink.spans}, "every span arrives")
        wanted = {f"work of second {second}.start" for second in range(10)}
        wait_until(lambda: wanted <= {event.body for event in sink.starts()}, "every start arrives")
        for span in long:
            span.end()
        assert COUNTERS.value("remote.full_finals") == full
        sent = [one.name for one in sink.spans if one.name in names]
        twice = len(sent) - len(set(sent))
        assert twice <= COUNTERS.value("remote.maybe_twice")
        provider.shutdown()


def test_the_users_own_queue_can_be_wrapped(tmp_path: Path) -> None:
    """Its name and its settings are kept."""
    with destination() as there:
        queue = RemoteQueue(LineSender(there.url), name="mine", grace=0.0)
        exporter = ResilientExporter(queue, folder=tmp_path)
        assert exporter.name == "mine"
        assert exporter.circuit == "closed"
        exporter.export(finals(1)[0])
        assert exporter.force_flush(5_000)
        assert "span 0" in there.names()
        exporter.shutdown()
