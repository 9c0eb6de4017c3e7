"""Deferred events: order, bounds, failures, subscribers that hang, forks and the exit."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.events import Event, deferred, subscribe
from otel_ext.events.deferred import DeferredEvent, DeferredEvents
from otel_ext.record.entities import Entity
from otel_ext.runtime.before_flush import write_what_waits
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.worker import shared_worker
from tests.global_provider import recording_globally
from tests.programs import in_child, python, records_in, succeed, wait_until, write_program
from tests.threads import worker_held

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 30.0


def numbered(number: int) -> DeferredEvent:
    """Return an event with a number."""
    return DeferredEvent("test.numbered", {"number": number}, {"who": "a"})


def fail() -> DeferredEvent:
    """Raise, as code that makes an event may."""
    raise RuntimeError("no event")


def test_events_are_written_and_emitted_in_order() -> None:
    """Each once, with its numbers and facts; one that cannot be made is left out."""
    events, heard = DeferredEvents(), list[float]()

    def hear(event: Event) -> None:
        heard.append(event.measurements["number"])

    with recording_globally() as capture, subscribe("test.numbered", hear, inline=True):
        for number in range(50):
            assert events.add(numbered, number)
            events.add(fail)
            events.add(lambda: None)
        assert events.flush(LIMIT)
    found = [record for record in capture.records if record.name == "test.numbered"]
    assert [record.attributes for record in found] == [
        {"number": number, "who": "a"} for number in range(50)
    ]
    assert heard == [*range(50)]


def test_what_is_recorded_may_differ() -> None:
    """A record has other facts than subscribers get, or is written alone."""
    events, heard = DeferredEvents(), list[Event]()
    entity = Entity("part", "a")
    told = DeferredEvent("test.told", metadata={"full": 1}, recorded={"short": 1}, entity=entity)
    with recording_globally() as capture, subscribe("test.*", heard.append, inline=True):
        events.add(lambda: told)
        events.add(lambda: told._replace(name="test.silent", is_emitted=False))
        assert events.flush(LIMIT)
    assert [event.metadata for event in heard] == [{"full": 1}]
    found = [one for one in capture.records if one.name.startswith("test.")]
    assert [(one.name, one.attributes) for one in found] == [
        ("test.told", {"short": 1}),
        ("test.silent", {"short": 1}),
    ]
    assert found[0].extra == {"entity": {"type": "part", "id": "a"}}


def test_too_many_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adds one beyond the limit learns it, and does not wait."""
    monkeypatch.setattr(deferred, "_MAX_QUEUED", 10)
    events, before = DeferredEvents(), COUNTERS.value("dropped.deferred")
    with worker_held():
        taken = [events.add(numbered, number) for number in range(15)]
    assert taken == [True] * 10 + [False] * 5
    assert COUNTERS.value("dropped.deferred") - before == 5


def test_a_subscriber_that_hangs_delays_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the records nor the worker wait for it, and later events get another thread."""
    monkeypatch.setattr(deferred, "_HANGING_SECONDS", 0.0)
    events, entered, release = DeferredEvents(), threading.Event(), threading.Event()
    heard: list[object] = []

    def hang(event: Event) -> None:
        heard.append(event.measurements["number"])
        if len(heard) == 1:
            entered.set()
            release.wait(LIMIT)

    with recording_globally() as capture, subscribe("test.numbered", hang, inline=True):
        events.add(numbered, 1)
        assert entered.wait(LIMIT)
        events.add(numbered, 2)
        wait_until(lambda: len(heard) == 2, "the next event has another thread")
        assert shared_worker().submit(tuple).wait(LIMIT)
        release.set()
    numbers = [one.attributes["number"] for one in capture.records if one.kind == "event"]
    assert numbers == [1, 2]


def test_a_flush_of_the_processor_reaches_subscribers() -> None:
    """Also one that is slow; with one that hangs it gives up."""
    events, heard, release = DeferredEvents(), list[str](), threading.Event()

    def hear(event: Event) -> None:
        if event.name == "test.numbered":
            time.sleep(0.05)
        else:
            release.wait(LIMIT)
        heard.append(event.name)

    with recording_globally(), subscribe("test.*", hear, inline=True):
        events.add(numbered, 1)
        write_what_waits()
        assert heard == ["test.numbered"]
        events.add(DeferredEvent, "test.hanging")
        write_what_waits()
        assert heard == ["test.numbered"]
        release.set()
        assert events.flush(LIMIT)
    assert heard == ["test.numbered", "test.hanging"]


def test_a_slow_subscriber_gets_all_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread, although the calls that wait for it take longer than one may hang."""
    monkeypatch.setattr(deferred, "_HANGING_SECONDS", 0.2)
    events, heard = DeferredEvents(), list[tuple[float, int]]()

    def hear(event: Event) -> None:
        time.sleep(0.02)
        heard.append((event.measurements["number"], threading.get_ident()))

    with recording_globally(), subscribe("test.numbered", hear, inline=True):
        for number in range(30):
            events.add(numbered, number)
            assert events.flush(0.001) in {True, False}  # the worker takes it meanwhile
        assert events.flush(LIMIT)
    assert [number for number, _ in heard] == [*range(30)]
    assert len({thread for _, thread in heard}) == 1


def test_a_handler_does_not_get_the_events_that_it_makes() -> None:
    """Others do; without that, one event would make events without end."""
    events, heard, others = DeferredEvents(), list[float](), list[float]()

    def answer(event: Event) -> None:
        heard.append(event.measurements["number"])
        events.add(numbered, event.measurements["number"] + 1)

    def note(event: Event) -> None:
        others.append(event.measurements["number"])

    with (
        recording_globally(),
        subscribe("test.*", answer, inline=True),
        subscribe("test.*", note, inline=True),
    ):
        events.add(numbered, 1)
        assert events.flush(LIMIT)
        assert events.flush(LIMIT)
    assert (heard, others) == ([1], [1, 2])


def test_several_events_at_once() -> None:
    """What makes them may return several."""
    events = DeferredEvents()
    with recording_globally() as capture:
        events.add(lambda: [numbered(1), numbered(2)])
        assert events.flush(LIMIT)
    assert [one.attributes["number"] for one in capture.records if one.kind == "event"] == [1, 2]


@pytest.mark.forks
def test_a_forked_child_has_none_of_its_parents_events() -> None:
    """What waits is written by the parent alone."""
    events = DeferredEvents()

    def child() -> str:
        events.add(numbered, 2)
        assert events.flush(LIMIT)
        return str(numbers())

    def numbers() -> list[object]:
        found = [one for one in capture.records if one.name == "test.numbered"]
        return [one.attributes["number"] for one in found]

    with recording_globally() as capture:
        with worker_held():
            events.add(numbered, 1)
            assert in_child(child) == "[2]"
        assert events.flush(LIMIT)
    assert numbers() == [1]


AT_EXIT = """\
import atexit
import otel_ext
from otel_ext.events.deferred import DeferredEvent, deferred_events

def make(name):
    return DeferredEvent(name)

@atexit.register
def last():
    deferred_events().add(make, "test.later")

otel_ext.configure(output="traces", console="off")
deferred_events().add(make, "test.last")
"""


def test_the_exit_writes_what_waits(tmp_path: Path) -> None:
    """Also what an exit handler that runs after ours defers."""
    done = succeed(python(write_program(tmp_path, AT_EXIT)), tmp_path)
    assert done.output == ""
    names = [record.name for record in records_in(tmp_path / "traces")]
    assert [name for name in names if name.startswith("test.")] == ["test.last", "test.later"]
