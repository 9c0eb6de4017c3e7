"""Abandoned spans: garbage-collected, too old, or open at the exit."""

from __future__ import annotations

import gc
import signal
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.inflight.reaper import Reaper
from otel_ext.inflight.table import InflightTable, open_spans
from otel_ext.record.codec import encode_line
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.worker import Worker
from tests.figures import report_figures
from tests.inflight.tracking import PROGRAMS, Tracking
from tests.programs import ROOT, becomes_true, environment, python, started, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.inflight.tracking import Clock


class Node:
    """An object in a cycle with itself, which only the collector frees."""

    def __init__(self, span: object) -> None:
        self.me = self
        self.span = span


class EndsItsSpan:
    """An object that ends its span in its finalizer."""

    def __init__(self, tracking: Tracking, *, cyclic: bool) -> None:
        self.span = tracking.tracer.start_span("ended by a finalizer")
        self.me = self if cyclic else None

    def __del__(self) -> None:
        self.span.end()


def test_a_collected_span_is_reported_soon() -> None:
    """A span whose last reference is dropped soon gets its abandoned end from the worker."""
    tracking = Tracking()
    worker = Worker("test-reaper")
    job = worker.every(0.05, tracking.reaper.run, "reaper")
    worker.ensure()
    took: list[float] = []
    for number in range(10):
        span = tracking.tracer.start_span("dropped")
        context = span.get_span_context()
        del span
        dropped = time.monotonic()
        assert becomes_true(lambda n=number: len(tracking.abandoned) > n)  # type: ignore[misc]
        took.append(time.monotonic() - dropped)
        record = tracking.abandoned[number]
        assert record.key == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
        assert (record.phase, record.abandoned) == ("end", "garbage-collected")
        assert record.time_ns >= record.start_ns > 0
    job.cancel()
    assert worker.stop()
    report_figures("a collected span", reported_after=f"{min(took) * 1e3:.0f} ms")
    assert len(tracking.table) == 0


def test_a_span_in_a_cycle_is_reported_when_the_cycle_is_collected(tracking: Tracking) -> None:
    """A span that only the garbage collector can free is reported when it does."""
    Node(tracking.tracer.start_span("in a cycle"))
    gc.collect()
    assert [record.abandoned for record in tracking.reap_until(1)] == ["garbage-collected"]


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_finalizer_that_ends_its_span_makes_a_real_end(
    tracking: Tracking, *, cyclic: bool
) -> None:
    """The span's own end is recorded, and no abandoned end."""
    EndsItsSpan(tracking, cyclic=cyclic)
    gc.collect()
    assert not tracking.reap_for(0.05)
    assert [end.name for end in tracking.ends] == ["ended by a finalizer"]
    assert len(tracking.table) == 0


def test_an_abandoned_record_is_a_complete_line_of_the_format(tracking: Tracking) -> None:
    """The record goes through the codec both ways and keeps its cause."""
    tracking.tracer.start_span("dropped", attributes={"nested": {"a": [1]}})
    gc.collect()
    (record,) = tracking.reap_until(1)
    back = decode_line(encode_line(record))
    assert (back.abandoned, back.phase, back.key) == ("garbage-collected", "end", record.key)
    assert back.time_ns >= back.start_ns


@pytest.mark.parametrize("hours", [-1_000, 1_000])
def test_an_abandoned_span_never_ends_before_it_started(tracking: Tracking, hours: int) -> None:
    """The duration is right whatever start time the user passed or the wall clock shows."""
    start = time.time_ns() + hours * 3_600_000_000_000
    tracking.tracer.start_span("dropped", start_time=start)
    (record,) = tracking.reap_until(1)
    assert record.start_ns == start
    assert record.time_ns >= start
    assert hours > 0 or abs(record.time_ns - time.time_ns()) < 60_000_000_000


def test_a_span_beyond_the_age_expires_and_its_late_end_is_recorded(clock: Clock) -> None:
    """Tracking ends with an `expired` record; the span itself may still end."""
    tracking = Tracking()
    reaper = Reaper(tracking.table, tracking.abandoned.append, max_age=100)
    span = tracking.tracer.start_span("old")
    reaper.run()
    assert not tracking.abandoned
    clock.advance(150)
    young = tracking.tracer.start_span("young")
    late = Reaper(tracking.table, tracking.abandoned.append, max_age=100)
    late.run()
    assert [(one.name, one.abandoned) for one in tracking.abandoned] == [("old", "expired")]
    assert len(tracking.table) == 1
    span.end()
    young.end()
    assert [end.name for end in tracking.ends] == ["old", "young"]


def test_an_orderly_exit_reports_open_spans_and_changes_none(tracking: Tracking) -> None:
    """Open spans get `shutdown` records once; the user's spans go on recording."""
    spans = [tracking.tracer.start_span(f"s{number}") for number in range(3)]
    assert tracking.reaper.abandon_all("shutdown") == 3
    assert tracking.reaper.abandon_all("shutdown") == 0
    assert {record.abandoned for record in tracking.abandoned} == {"shutdown"}
    assert all(span.is_recording() for span in spans)


def test_an_exit_beside_the_busy_worker_reports_each_span_once() -> None:
    """The worker may reap while another thread shuts down; each span is reported once."""
    tracking = Tracking()
    worker = Worker("test-exit")
    job = worker.every(0.0001, tracking.reaper.run, "reaper")
    worker.ensure()
    kept: list[object] = []
    for number in range(2_000):
        span = tracking.tracer.start_span("either way")
        if number % 2:
            kept.append(span)
    tracking.reaper.abandon_all("shutdown", timeout=30)
    assert becomes_true(lambda: len(tracking.abandoned) >= 2_000)
    assert job.backoff.failures == 0
    job.cancel()
    assert worker.stop()
    assert len({record.key for record in tracking.abandoned}) == len(tracking.abandoned) == 2_000


def test_an_exit_out_of_time_leaves_the_rest_to_recovery(tracking: Tracking) -> None:
    """The exit keeps its deadline; spans that were not reported are still open."""
    span = tracking.tracer.start_span("late")
    assert tracking.reaper.abandon_all("shutdown", timeout=-1.0) == 0
    assert len(tracking.table) == 1
    span.end()


def test_an_end_that_is_refused_at_the_exit_is_left_to_recovery() -> None:
    """A full ring buffer takes no more records; the spans concerned stay in the table."""
    table = InflightTable()
    tracking = Tracking(table)
    kept = [tracking.tracer.start_span(f"s{number}") for number in range(120)]

    def emit(record: object) -> None:
        del record
        COUNTERS.add("dropped.queue_full")

    answers = iter([True, True, False])
    Reaper(table, emit).abandon_all(has_room=lambda _: next(answers))
    assert len(table) == len(kept)
    assert list(answers) == []
    for span in kept:
        span.end()


def test_a_failing_sink_loses_one_record() -> None:
    """An error of the sink ends this run only; the next run continues after that record."""
    table = InflightTable()
    tracking = Tracking(table)
    seen: list[str] = []

    def emit(record: object) -> None:
        seen.append(str(record))
        if len(seen) == 1:
            raise OSError("disk full")

    reaper = Reaper(table, emit)
    for _ in range(3):
        tracking.tracer.start_span("dropped")
    with pytest.raises(OSError, match="disk full"):
        reaper.run()
    reaper.run()
    assert len(seen) == 3


def test_reported_causes_are_counted(tracking: Tracking) -> None:
    """The counters contain how many spans were abandoned, by cause."""
    before = COUNTERS.value("abandoned.garbage-collected")
    tracking.tracer.start_span("dropped")
    tracking.reap_until(1)
    assert COUNTERS.value("abandoned.garbage-collected") - before == 1


@pytest.mark.slow
def test_nothing_is_abandoned_while_the_process_is_stopped_and_continued(tmp_path: Path) -> None:
    """A process that is stopped again and again reports none of its living spans."""
    env = environment(PYTHONPATH=str(ROOT))
    command = python(PROGRAMS / "keeps_spans_open.py", "4")
    with started(command, cwd=tmp_path, env=env) as program:
        output = tmp_path / "output.txt"
        wait_until(output.read_text, "the program begins")
        while program.poll() is None:
            program.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            program.send_signal(signal.SIGCONT)
            time.sleep(0.1)
    assert output.read_text().splitlines() == ["ready", "abandoned 0, open 12, 0 days"]
    assert program.returncode == 0


def test_an_open_span_is_still_shown_after_its_dead_owner_was_reported() -> None:
    """A reported span without a real end stays open, with a dead owner, and is reported once."""
    tracking = Tracking(grace=0.0)
    spans: list[object] = []
    worker = Worker("test-owner")
    job = worker.every(60, lambda: spans.append(tracking.tracer.start_span("orphan")), "start")
    worker.ensure()
    assert becomes_true(lambda: spans)
    job.cancel()
    assert worker.stop()
    assert len(tracking.reap_until(1)) == 1
    assert [one.owner_alive for one in open_spans() if one.name == "orphan"] == [False]
    spans.clear()
    gc.collect()
    tracking.reap_for(0.05)
    assert len(tracking.abandoned) == 1
    assert len(tracking.table) == 0
