"""Listeners to records: who calls them, once for each record, whatever another one does."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, NoReturn

from otel_ext.events import emit, subscribe
from otel_ext.record.model import Process, Record
from otel_ext.runtime import listeners as module
from otel_ext.runtime.listeners import RecordListeners
from tests.threads import numbered_threads

if TYPE_CHECKING:
    import pytest

    from otel_ext.events import Event

PROCESS = Process("b0-1-1-aa")


class Source:
    """A processor that counts how often it is called."""

    def __init__(self, listeners: RecordListeners) -> None:
        self.changes = 0
        listeners.add_source(self.changed)

    def changed(self) -> None:
        """Count a change."""
        self.changes += 1


def span(number: int, phase: str = "start") -> Record:
    """Return a record of the span with this number."""
    record = Record("span", "start", "work", 0, number, PROCESS)
    return record._replace(phase=phase, trace_id="ab" * 16, span_id=f"{number:016x}")  # type: ignore[arg-type]


def test_sources_are_called_when_listeners_change() -> None:
    """Each processor is called for each change, and none when nothing listens."""
    listeners = RecordListeners()
    heard: list[Record] = []
    source = Source(listeners)
    listeners.add(heard.append)
    assert (listeners.active, source.changes) == ((heard.append,), 1)
    listeners.remove(heard.append)
    listeners.remove(heard.append)
    assert listeners.active == ()
    assert source.changes == 3


def test_a_source_that_is_gone_is_forgotten() -> None:
    """A processor is held weakly, and a change after its end calls no one."""
    listeners = RecordListeners()
    source = Source(listeners)
    assert listeners.has_sources()
    del source
    gc.collect()
    assert not listeners.has_sources()
    listeners.add(print)
    assert listeners.active == (print,)


def test_a_listener_that_raises_harms_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    """Its exception is reported, and the other listeners get the record."""
    listeners = RecordListeners()
    heard: list[Record] = []

    def fail(_record: Record) -> NoReturn:
        raise RuntimeError("no")

    listeners.add(fail)
    listeners.add(heard.append)
    listeners.pass_on(span(1), None)
    assert heard == [span(1)]
    assert "a listener to records failed: RuntimeError: no" in capfd.readouterr().err


def test_of_several_sources_one_reports_a_span() -> None:
    """The first processor that passes a span on is the one for all its records."""
    listeners = RecordListeners()
    heard: list[Record] = []
    first, second = Source(listeners), Source(listeners)
    listeners.add(heard.append)
    for record in (span(1), span(1, "update"), span(1, "end")):
        listeners.pass_on(record, first)
        listeners.pass_on(record, second)
    listeners.pass_on(span(2), second)
    listeners.pass_on(span(2), first)
    assert heard == [span(1), span(1, "update"), span(1, "end"), span(2)]


def test_what_is_remembered_of_spans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest spans are remembered, and no span is lost by that."""
    monkeypatch.setattr(module, "_MAX_REMEMBERED", 100)
    listeners = RecordListeners()
    heard: list[Record] = []
    sources = Source(listeners), Source(listeners)
    listeners.add(heard.append)

    def run(thread: int) -> None:
        for number in range(500):
            for source in sources:
                listeners.pass_on(span(thread * 1_000 + number), source)

    numbered_threads(4, run)
    assert len(listeners._reported_by) <= 104  # noqa: SLF001 - its bound, and one for each thread
    expected = {thread * 1_000 + number for thread in range(4) for number in range(500)}
    assert {record.seq for record in heard} == expected
    heard.clear()
    for source in sources:
        listeners.pass_on(span(9_999), source)
    assert heard == [span(9_999)]


def test_subscriptions_come_and_go_on_many_threads() -> None:
    """Each thread hears its own events while others subscribe and cancel."""
    missing: list[str] = []

    def run(thread: int) -> None:
        for turn in range(50):
            names: list[str] = []

            def note(event: Event, names: list[str] = names) -> None:
                names.append(event.name)

            with subscribe(f"thread.{thread}", note, inline=True):
                emit(f"thread.{thread}")
            if names != [f"thread.{thread}"]:
                missing.append(f"{thread}-{turn}: {names}")

    numbered_threads(8, run)
    assert missing == []
