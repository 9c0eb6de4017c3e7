"""Third-party exporters are called in order, and callers wait for them only up to a timeout."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.exporters import FanOut
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.isolated_exporter import IsolatedExporter, isolate
from otel_ext.testing import RecordCapture
from tests.exporters import samples
from tests.exporters.samples import Counted
from tests.programs import in_child, wait_until

if TYPE_CHECKING:
    from otel_ext.record.model import Record


class ThirdParty:
    """Keeps events, hangs while `go_on` is not set, and raises `error` if there is one."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: BaseException | None = None
        self.threads: set[int] = set()

    def export(self, record: Record) -> None:
        """Hang, raise, or keep the event."""
        self.threads.add(threading.get_ident())
        self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        self.events.append(record.event)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hang likewise."""
        return self.go_on.wait(30)

    def shutdown(self) -> None:
        """Hang likewise."""
        self.go_on.wait(30)


def test_an_exporter_that_never_waits_is_called_directly() -> None:
    """Only an exporter without `never_waits` gets a thread of its own."""
    mine, third_party = RecordCapture(), ThirdParty()
    assert isolate(mine) is mine
    exporter = isolate(third_party)
    exporter.export(samples.start("work"))
    assert third_party.threads
    assert threading.get_ident() not in third_party.threads


def test_after_its_shutdown_it_gets_no_record() -> None:
    """It may have closed its file, while exit handlers of the program still record."""
    third_party = ThirdParty()
    exporter = IsolatedExporter(third_party)
    exporter.export(samples.start("work"))
    exporter.shutdown()
    before = COUNTERS.value("exporter.closed")
    exporter.export(samples.start("late"))
    assert third_party.events == ["work.start"]
    assert COUNTERS.value("exporter.closed") == before + 1


def test_records_are_there_when_export_returns_and_in_order() -> None:
    """Several threads export at once; the records of each stay in order."""
    third_party = ThirdParty()
    exporter = IsolatedExporter(third_party)

    def work(name: str) -> None:
        for number in range(50):
            exporter.export(samples.start(f"{name} {number}"))
            assert f"{name} {number}.start" in third_party.events

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "abcd":
        mine = [event for event in third_party.events if event.startswith(name)]
        assert mine == [f"{name} {number}.start" for number in range(50)]


def test_what_it_raises_reaches_the_caller() -> None:
    """An exception arrives as on the caller's own thread; also one that ends programs."""
    third_party = ThirdParty()
    exporter = IsolatedExporter(third_party)
    for error in (ValueError("no"), SystemExit(3)):
        third_party.error = error
        with pytest.raises(type(error)) as caught:
            exporter.export(samples.start("work"))
        assert caught.value is error


def test_a_program_goes_on_when_an_exporter_hangs(capfd: pytest.CaptureFixture[str]) -> None:
    """The program waits once and reports it; other exporters get all, this one gets them later."""
    third_party, capture = ThirdParty(), RecordCapture()
    third_party.go_on.clear()
    provider = TracerProvider(shutdown_on_exit=False)
    processor = LifecycleSpanProcessor(FanOut(third_party, capture))
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    began = time.monotonic()
    for number in range(100):
        tracer.start_span(f"span {number}").end()
    assert time.monotonic() - began < 5
    assert len(capture.spans) == 200
    assert third_party.events == []
    assert capfd.readouterr().err.count("ThirdParty hangs") == 1
    assert not provider.force_flush(200)
    third_party.go_on.set()
    wait_until(lambda: len(third_party.events) >= 200, "what waited")
    spans = [event for event in third_party.events if event.startswith("span")]
    assert spans[:2] == ["span 0.start", "span 0.end"]
    assert len(spans) == 200
    tracer.start_span("later").end()
    assert provider.force_flush(10_000)
    assert {"later.start", "later.end"} <= set(third_party.events)
    provider.shutdown()


def test_a_hanging_exporter_costs_bounded_memory_and_a_bounded_exit() -> None:
    """Beyond the queue's limit records are dropped and counted; shutdown does not wait for it."""
    third_party = ThirdParty()
    third_party.go_on.clear()
    exporter = IsolatedExporter(third_party, timeout=0.01)
    counted = Counted()
    for number in range(10_100):
        exporter.export(samples.start("work", number + 1))
    assert counted("dropped.exporter_hangs") >= 99
    began = time.monotonic()
    exporter.shutdown()
    assert time.monotonic() - began < 5
    third_party.go_on.set()


def test_what_is_raised_after_the_timeout_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    """A record whose export fails after the timeout counts as dropped."""
    third_party = ThirdParty()
    third_party.go_on.clear()
    exporter = IsolatedExporter(third_party, timeout=0.01)
    counted = Counted()
    exporter.export(samples.start("first"))
    exporter.export(samples.start("second"))
    third_party.error = ValueError("too late")
    third_party.go_on.set()
    wait_until(lambda: counted("dropped.hook_failed") == 2, "both losses")
    assert "too late" in capfd.readouterr().err


def test_an_exporter_that_starts_spans_is_not_waited_for_by_itself() -> None:
    """A record that it exports on its own thread does not go through the queue."""
    third_party = ThirdParty()
    exporter = IsolatedExporter(third_party, timeout=5)

    class Nesting(RecordCapture):
        never_waits = False

        def export(self, record: Record) -> None:
            """Export another record through the same exporter."""
            super().export(record)
            if record.name == "outer":
                nesting.export(samples.start("inner"))

    nesting = IsolatedExporter(Nesting(), timeout=5)
    began = time.monotonic()
    nesting.export(samples.start("outer"))
    exporter.export(samples.start("other"))
    assert time.monotonic() - began < 4
    assert isinstance(nesting.inner, RecordCapture)
    assert nesting.inner.events == ["outer.start", "inner.start"]


@pytest.mark.forks
def test_a_forked_child_has_a_thread_of_its_own() -> None:
    """Even while the parent's exporter hangs."""
    third_party = ThirdParty()
    exporter = IsolatedExporter(third_party, timeout=0.05)
    third_party.go_on.clear()
    exporter.export(samples.start("parent's"))

    def child() -> list[str]:
        third_party.go_on = threading.Event()
        third_party.go_on.set()
        third_party.events.clear()
        exporter.export(samples.start("child's"))
        return third_party.events

    assert in_child(child) == '["child\'s.start"]'
    third_party.go_on.set()


def test_a_flush_and_a_shutdown_wait_for_a_full_queue() -> None:
    """It empties as soon as the exporter works again; a flush takes no place in it."""
    third_party = ThirdParty()
    third_party.go_on.clear()
    exporter = IsolatedExporter(third_party, timeout=0.01)
    counted = Counted()
    for number in range(9_000):
        exporter.export(samples.start("work", number + 1))
        assert not exporter.force_flush(0)
    assert not counted("dropped.exporter_hangs")
    for number in range(9_000, 10_001):
        exporter.export(samples.start("work", number + 1))
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(exporter.force_flush(30_000)))
    thread.start()
    third_party.go_on.set()
    thread.join(30)
    assert flushed == [True]
    assert len(third_party.events) == 10_001
    exporter.shutdown()
