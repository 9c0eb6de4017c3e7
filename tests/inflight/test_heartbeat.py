"""The heartbeat: one record a process, with figures that add up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from otel_ext.inflight import Heartbeat
from otel_ext.inflight.heartbeat import memory_bytes
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.runtime import incarnation
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.worker import Worker
from tests.inflight.tracking import Tracking, wait_until

if TYPE_CHECKING:
    import pytest

    from otel_ext.record.model import Record


def test_a_beat_tells_open_spans_numbers_drops_and_memory(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record tells how the process is, under the process's own name."""
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
    assert beat.site.line == 0
    assert (beat.site.file, beat.site.function) == ("program.py", "<module>")
    span.end()


def test_a_beat_is_a_line_of_the_format(tracking: Tracking) -> None:
    """The record goes through the codec and comes back with its figures."""
    beat = Heartbeat(lambda _: None, tracking.table.__len__).make_record()
    back = decode_line(encode_line(beat))
    assert back.kind == "process"
    assert back.extra["open_spans"] == 0
    assert back.extra["memory_bytes"] == beat.extra["memory_bytes"]


def test_memory_is_what_the_system_says() -> None:
    """The figure is the resident size of this process."""
    assert (memory_bytes() > 1_000_000) is (sys.platform == "linux")


def test_beats_come_from_the_worker(tracking: Tracking) -> None:
    """The worker emits beats at the interval it was told, never one a span."""
    beats: list[Record] = []
    heartbeat = Heartbeat(beats.append, tracking.table.__len__)
    worker = Worker("test-heartbeat")
    job = worker.every(0.02, heartbeat.run, "heartbeat")
    worker.ensure()
    for _ in range(1_000):
        tracking.tracer.start_span("busy").end()
    assert wait_until(lambda: len(beats) >= 3)
    job.cancel()
    assert worker.stop()
    assert len(beats) < 500
    assert [beat.seq for beat in beats] == sorted(beat.seq for beat in beats)
