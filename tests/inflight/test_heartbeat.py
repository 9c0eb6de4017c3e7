"""The heartbeat: one record per process and interval, with counters that add up."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.inflight import tracker
from otel_ext.inflight.heartbeat import Heartbeat, memory_bytes
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.tracker import Tracker
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.process import incarnation
from otel_ext.runtime.worker import Worker
from otel_ext.testing import RecordCapture
from tests.durability.kit import command, read, tree_env
from tests.inflight.tracking import Tracking
from tests.programs import becomes_true, execute

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.record.model import Record


def test_a_beat_contains_open_spans_numbers_drops_and_memory(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record contains the figures of the process, under the process's own id."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "program.py", raising=False)
    beats: list[Record] = []
    heartbeat = Heartbeat(beats.append, tracking.table.__len__)
    span = tracking.tracer.start_span("open")
    COUNTERS.add("dropped.queue_full")
    heartbeat.run()
    (beat,) = beats
    current = incarnation.current()
    assert (beat.kind, beat.phase, beat.event) == ("process", None, "process.heartbeat")
    assert beat.process.id.startswith(current.id)
    assert beat.extra["open_spans"] == 1
    assert beat.extra["last_seq"] == beat.seq - 1
    assert beat.extra["accepted"] == COUNTERS.value("accepted")
    assert beat.extra["written"] == COUNTERS.value("written")
    assert cast("dict[str, int]", beat.extra["dropped"])["queue_full"] >= 1
    assert beat.call_site.line == 0
    assert (beat.call_site.file, beat.call_site.function) == ("program.py", "<module>")
    span.end()


def test_a_beat_is_a_line_of_the_format(tracking: Tracking) -> None:
    """The record goes through the codec and comes back with its figures."""
    beat = Heartbeat(lambda _: None, tracking.table.__len__).make_record()
    back = decode_line(encode_line(beat))
    assert back.kind == "process"
    assert back.extra["open_spans"] == 0
    assert back.extra["memory_bytes"] == beat.extra["memory_bytes"]


def test_memory_is_the_resident_size() -> None:
    """On Linux the figure is above 1 MB; elsewhere it is 0."""
    assert (memory_bytes() > 1_000_000) is (sys.platform == "linux")


def test_beats_come_from_the_worker(tracking: Tracking) -> None:
    """The worker emits beats at the set interval, not one for each span."""
    beats: list[Record] = []
    heartbeat = Heartbeat(beats.append, tracking.table.__len__)
    worker = Worker("test-heartbeat")
    job = worker.every(0.02, heartbeat.run, "heartbeat")
    worker.ensure()
    for _ in range(1_000):
        tracking.tracer.start_span("busy").end()
    assert becomes_true(lambda: len(beats) >= 3)
    job.cancel()
    assert worker.stop()
    assert len(beats) < 500
    assert [beat.seq for beat in beats] == sorted(beat.seq for beat in beats)


INTERVAL = 0.1
SETTINGS = InflightSettings(heartbeat_interval=INTERVAL)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not count the providers that other tests left behind."""
    none: WeakValueDictionary[int, Tracker] = WeakValueDictionary()
    monkeypatch.setattr(tracker, "_trackers", none)


def provider_on(*captures: RecordCapture) -> TracerProvider:
    """Return a provider with one processor for each of `captures`."""
    provider = TracerProvider(shutdown_on_exit=False)
    for capture in captures:
        provider.add_span_processor(LifecycleSpanProcessor(capture, inflight=SETTINGS))
    return provider


def beats_in(capture: RecordCapture, since: int = 0) -> list[Record]:
    """Return the heartbeats among the captured records, from the `since`-th record on."""
    return [one for one in capture.records[since:] if one.event == "process.heartbeat"]


@pytest.mark.usefixtures("alone")
def test_zero_means_never() -> None:
    """With an interval of 0 there is no heartbeat, and with an age of 0 no span expires."""
    records: list[Record] = []
    runs: list[bool] = []
    never = InflightSettings(heartbeat_interval=0, max_open_age=0)
    made = Tracker(records.append, never, Worker("test-never"), before=lambda: runs.append(True))
    tracking = Tracking(made.table)
    span = tracking.tracer.start_span("open")
    assert made.begin()
    assert becomes_true(lambda: len(runs) >= 5)
    made.worker.stop()
    assert not records
    span.end()


@pytest.mark.usefixtures("alone")
def test_providers_on_one_exporter_send_one_heartbeat_that_counts_all() -> None:
    """Three providers with 1, 2 and 3 open spans on one exporter: each beat contains 6."""
    capture = RecordCapture()
    providers = [provider_on(capture) for _ in range(3)]
    kept = [
        provider.get_tracer("three").start_span("open")
        for number, provider in enumerate(providers, 1)
        for _ in range(number)
    ]
    began, begun = time.monotonic(), len(capture.records)
    assert becomes_true(lambda: len(beats_in(capture, begun)) >= 4)
    beats = beats_in(capture, begun)
    turns = (time.monotonic() - began) / INTERVAL
    # The first one may be from before all spans had started.
    assert {beat.extra["open_spans"] for beat in beats[1:]} == {6}
    assert len(beats) <= turns + 2
    for span in kept:
        span.end()
    for provider in providers:
        provider.shutdown()


@pytest.mark.usefixtures("alone")
def test_each_destination_gets_a_heartbeat() -> None:
    """Two exporters get one heartbeat each, and a span that goes to both is counted once."""
    one, two = RecordCapture(), RecordCapture()
    both = provider_on(one, two)
    kept = [both.get_tracer("both").start_span("open") for _ in range(3)]
    for capture in (one, two):
        assert becomes_true(lambda c=capture: len(beats_in(c)) >= 2)  # type: ignore[misc]
        assert {beat.extra["open_spans"] for beat in beats_in(capture)[1:]} == {3}
    for span in kept:
        span.end()
    both.shutdown()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.usefixtures("alone")
def test_when_the_one_that_beats_is_shut_down_another_goes_on(which: int) -> None:
    """Whichever of two providers is shut down, beats still come, with the other's spans."""
    capture = RecordCapture()
    providers = [provider_on(capture) for _ in range(2)]
    kept = [provider.get_tracer("two").start_span("open") for provider in providers]
    assert becomes_true(lambda: len(beats_in(capture)) >= 2)
    providers.pop(which).shutdown()
    done = len(capture.records)
    assert becomes_true(lambda: len(beats_in(capture, done)) >= 3)
    assert beats_in(capture)[-1].extra["open_spans"] == 1
    for span in kept:
        span.end()
    providers.pop().shutdown()


FORKS = """
    from opentelemetry.sdk.trace import TracerProvider
    from otel_ext.exporters import JsonlExporter
    from otel_ext.inflight.settings import InflightSettings
    from otel_ext.processors import LifecycleSpanProcessor
    exporter = JsonlExporter(sys.argv[1])
    print(time.time_ns(), flush=True)
    def make():
        provider = TracerProvider(shutdown_on_exit=False)
        settings = InflightSettings(heartbeat_interval=0.1)
        provider.add_span_processor(LifecycleSpanProcessor(exporter, inflight=settings))
        return provider
    providers = [make() for _ in range(3)]
    kept = [provider.get_tracer("t").start_span("parent's") for provider in providers]
    time.sleep(0.15)
    pid = os.fork()
    if pid == 0:
        kept = [providers[2].get_tracer("t").start_span("child's") for _ in range(2)]
    def beats():
        exporter.force_flush()
        files = glob.glob(f"{sys.argv[1]}/*-{os.getpid()}-*.jsonl")
        return sum(open(file).read().count('"event":"process.heartbeat"') for file in files)
    time.sleep(0.8)
    until = time.monotonic() + 20
    while beats() < 3 and time.monotonic() < until:
        time.sleep(0.05)
    if pid:
        os.waitpid(pid, 0)
    exporter.force_flush()
    os._exit(0)
"""


def test_a_forked_child_has_one_heartbeat_of_its_own(tmp_path: Path) -> None:
    """Parent and child each send one heartbeat, with the open spans of that process alone."""
    head = "import glob, os, sys, time\n"
    done = execute(command(FORKS, tmp_path, head=head), cwd=tmp_path, env=tree_env())
    assert done.code == 0, done.err
    of_process: dict[str, list[Record]] = {}
    for beat in read(tmp_path).events("process.heartbeat"):
        of_process.setdefault(beat.process.id, []).append(beat)
    assert len(of_process) == 2
    last = [beats[-1] for beats in of_process.values()]
    assert sorted(cast("int", beat.extra["open_spans"]) for beat in last) == [2, 3]
    # One beat for each interval; with one from each provider there would be three.
    for beats in of_process.values():
        intervals = (beats[-1].time_ns - int(done.out)) / 1e8
        assert 3 <= len(beats) <= intervals + 2
