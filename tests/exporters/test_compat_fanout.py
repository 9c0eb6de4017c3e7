"""`CompatExporter` adds the timestamp; `FanOut` isolates exporters from each other."""

from __future__ import annotations

import io
import json
import threading
import time
from typing import Any

import pytest

from otel_ext.exporters import CompatExporter, ConsoleExporter, FanOut
from tests.exporters.samples import Counted, Hanging, Noting, Spoilt, end, log, start
from tests.processors.spans import provider_with
from tests.programs import wait_until

STAMP = "2026-10-14T17:46:40.000000Z"


def json_console() -> tuple[io.StringIO, ConsoleExporter]:
    """Return an exporter of lines and the stream it writes to."""
    stream = io.StringIO()
    return stream, ConsoleExporter(stream, style="json")


def test_lines_get_the_timestamp_at_their_top() -> None:
    """Around an exporter of lines, the encoding puts the timestamp first."""
    stream, inner = json_console()
    CompatExporter(inner).export(start(attributes={"user": "ann"}))
    line = json.loads(stream.getvalue())
    assert list(line) == ["timestamp", "__tracer_meta__", "user"]
    assert line["timestamp"] == line["__tracer_meta__"]["timestamp"] == STAMP


def test_other_exporters_get_an_attribute() -> None:
    """Around any other exporter, the record itself carries the timestamp; the original does not."""
    inner = Noting()
    record = start(attributes={"user": "ann"})
    CompatExporter(inner).export(record)
    assert inner.records[0].attributes == {"timestamp": STAMP, "user": "ann"}
    assert record.attributes == {"user": "ann"}


@pytest.mark.parametrize("value", ["yesterday", None, 7, STAMP])
def test_users_own_timestamp_wins_and_is_counted(value: object) -> None:
    """A user's `timestamp` is passed on unchanged, in lines and in records."""
    stream, lines = json_console()
    noting = Noting()
    counted = Counted()
    for inner in (lines, noting):
        CompatExporter(inner).export(start(attributes={"timestamp": value}))
    assert json.loads(stream.getvalue())["timestamp"] == value
    assert noting.records[0].attributes == {"timestamp": value}
    assert counted("compat.timestamp_kept") == 2


def test_switch_takes_effect_with_the_next_record() -> None:
    """A function is called for each record."""
    inner = Noting()
    enabled = [False]
    exporter = CompatExporter(inner, enabled=lambda: enabled[0])
    exporter.export(start())
    enabled[0] = True
    exporter.export(start())
    assert ["timestamp" in record.attributes for record in inner.records] == [False, True]


def test_switch_that_raises_is_off(capfd: pytest.CaptureFixture[str]) -> None:
    """A broken switch costs the timestamp, not the record, and is reported once."""
    inner = Noting()

    def broken() -> bool:
        raise LookupError("no such setting")

    exporter = CompatExporter(inner, enabled=broken)
    exporter.export(log())
    exporter.export(log())
    assert inner.events == ["told", "told"]
    assert capfd.readouterr().err.count("LookupError: no such setting") == 1


@pytest.mark.parametrize("enabled", [0, 1, "yes"])
def test_a_switch_that_cannot_be_called_is_off(enabled: Any) -> None:  # noqa: ANN401 - of any type
    """The records are exported, and nothing is raised."""
    inner = Noting()
    provider_with(CompatExporter(inner, enabled=enabled)).get_tracer("t").start_span("work").end()
    assert inner.events == ["work.start", "work.end"]
    assert not any("timestamp" in record.attributes for record in inner.records)


def test_disabled_compat_changes_nothing() -> None:
    """With `enabled=False` records pass as they are."""
    inner = Noting()
    record = start()
    CompatExporter(inner, enabled=False).export(record)
    assert inner.records[0] is record


def test_compat_passes_on_flush_and_shutdown() -> None:
    """The results of the inner exporter are those of the wrapper."""
    inner = Noting()
    exporter = CompatExporter(inner)
    assert exporter.force_flush(77)
    exporter.shutdown()
    assert (inner.flushes, inner.shutdowns) == ([77], 1)


def test_fanout_passes_each_record_to_all_in_order() -> None:
    """Every exporter gets every record, in order."""
    both = [Noting(), Noting()]
    exporter = FanOut(*both)
    exporter.export(start())
    exporter.export(end())
    assert [one.events for one in both] == [["load.start", "load.end"]] * 2


def test_fanout_isolates_one_that_raises(capfd: pytest.CaptureFixture[str]) -> None:
    """An exporter that raises is reported once and counted; the others get their records."""
    first, last = Noting(), Noting()
    exporter = FanOut(first, Spoilt(), last)
    counted = Counted()
    for number in range(5):
        exporter.export(start(number=number))
    assert not exporter.force_flush(10_000)
    exporter.shutdown()
    assert len(first.records) == len(last.records) == 5
    assert (first.shutdowns, last.shutdowns) == (1, 1)
    assert len(first.flushes) == len(last.flushes) == 1
    assert counted("fanout.failed") == 5
    printed = capfd.readouterr().err
    assert printed.count("FanOut: Spoilt: a record is lost: SpoiltError") == 1


def test_fanout_does_not_wait_for_one_that_hangs() -> None:
    """A flush that hangs does not delay the others, and ends at the timeout."""
    hanging = Hanging()
    first, last = Noting(), Noting()
    exporter = FanOut(first, hanging, last, shutdown_seconds=0.2)
    began = time.monotonic()
    try:
        assert not exporter.force_flush(200)
        wait_until(lambda: first.flushes == last.flushes == [200], "the others are flushed")
        exporter.shutdown()
        wait_until(lambda: first.shutdowns == last.shutdowns == 1, "the others are shut down")
        assert time.monotonic() - began < 30
    finally:
        hanging.released.set()


def test_fanout_leaves_one_thread_with_an_exporter_that_hangs() -> None:
    """Flushing again and again starts no further thread while the first flush still hangs."""
    hanging = Hanging()
    exporter = FanOut(hanging)
    # By identity: a thread of an earlier test may end meanwhile.
    before = set(threading.enumerate())
    try:
        for _ in range(20):
            assert not exporter.force_flush(1)
        wait_until(lambda: hanging.flushes, "the thread has begun the first flush")
        assert len(set(threading.enumerate()) - before) == 1
        assert len(hanging.flushes) == 1
    finally:
        hanging.released.set()


def test_fanout_flush_returns_whether_all_were_done() -> None:
    """If an exporter returns False, so does the whole flush."""

    class Late(Noting):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return False

    assert FanOut(Noting(), Noting()).force_flush(10_000)
    assert not FanOut(Noting(), Late()).force_flush(10_000)


def test_fanout_shuts_down_once() -> None:
    """A second shutdown does not reach the exporters."""
    inner = Noting()
    exporter = FanOut(inner)
    exporter.shutdown()
    exporter.shutdown()
    assert inner.shutdowns == 1


def test_fanout_flushes_if_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter exits there are no new threads, so the caller makes the calls."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("otel_ext.runtime.isolated.start_thread", refuse)
    inner = Noting()
    exporter = FanOut(inner, Spoilt())
    assert not exporter.force_flush(100)
    exporter.shutdown()
    assert (inner.flushes, inner.shutdowns) == ([100], 1)
