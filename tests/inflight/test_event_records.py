"""Event records: one for each destination, redacted, at any time, and never an exception."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.inflight.event_records import introduce_entities, write_event
from otel_ext.inflight.introductions import introductions
from otel_ext.inflight.origin import NOWHERE, Origin, origin_here
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.entities import Entity, NewestEntities, entity_of
from otel_ext.testing import RecordCapture
from tests.durability.kit import HEAD
from tests.programs import python, records_in, succeed, write_program

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.inflight.introductions import EventFacts
    from otel_ext.record.model import Record

CAPTURES = """\
import json, os, sys, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from otel_ext.inflight.event_records import write_event
from otel_ext.inflight.origin import origin_here
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.entities import Entity
from otel_ext.testing import RecordCapture

def shown(capture):
    return [(one.name, dict(one.attributes)) for one in capture.records if one.kind == "event"]

one, two = RecordCapture(), RecordCapture()
"""


def printed(tmp_path: Path, body: str, head: str = CAPTURES) -> Any:  # noqa: ANN401 - as json.loads
    """Return what a program prints as JSON."""
    program = write_program(tmp_path, head + body)
    return json.loads(succeed(python(program, tmp_path / "traces"), tmp_path).out)


def events(folder: Path) -> list[Record]:
    """Return the event records in a folder."""
    return [record for record in records_in(folder) if record.kind == "event"]


def test_each_destination_gets_one(tmp_path: Path) -> None:
    """Two processors with one exporter are one destination."""
    body = """\
keep = [LifecycleSpanProcessor(exporter) for exporter in (one, one, two)]
print(json.dumps([write_event("x", {"n": 1}), shown(one), shown(two)]))
"""
    assert printed(tmp_path, body) == [True, [["x", {"n": 1}]], [["x", {"n": 1}]]]


def test_without_a_destination_nothing_is_written(tmp_path: Path) -> None:
    """Neither before a processor exists nor after it is shut down."""
    body = """\
before = write_event("before")
processor, other = LifecycleSpanProcessor(one), LifecycleSpanProcessor(two)
processor.shutdown()
between = write_event("between")
other.shutdown()
print(json.dumps([before, between, write_event("after"), shown(one), shown(two)]))
"""
    assert printed(tmp_path, body) == [False, True, False, [], [["between", {}]]]


def test_a_failing_exporter_harms_nobody(tmp_path: Path) -> None:
    """The others get the record, and the caller notices nothing."""
    body = """\
class Fails(RecordCapture):
    def export(self, record):
        raise OSError("no")
keep = [LifecycleSpanProcessor(exporter) for exporter in (Fails(), one)]
print(json.dumps([write_event("x"), shown(one)]))
"""
    assert printed(tmp_path, body) == [True, [["x", {}]]]


def test_an_event_before_the_first_span(tmp_path: Path) -> None:
    """It is in the file, and so is what a thread of the program writes at its exit."""
    body = """\
import atexit
from otel_ext.inflight.event_records import write_event
atexit.register(lambda: write_event("at exit"))
write_event("first", {"n": 1})
print(1)
"""
    printed(tmp_path, body, HEAD)
    found = events(tmp_path / "traces")
    assert [record.name for record in found] == ["first", "at exit"]
    assert found[0].attributes == {"n": 1}


def test_at_exit_after_the_handlers_of_otel_ext(tmp_path: Path) -> None:
    """A handler that was registered first runs last, when the processor has shut down."""
    head = "import atexit\natexit.register(lambda: late())\n"
    body = """\
from otel_ext.inflight.event_records import write_event
def late():
    write_event("late")
write_event("first")
print(1)
"""
    printed(tmp_path, body, head + HEAD)
    assert [record.name for record in events(tmp_path / "traces")] == ["first", "late"]


def test_secrets_are_redacted(tmp_path: Path) -> None:
    """In attributes, by name and by content; in the entity's record too."""
    body = """\
from otel_ext.inflight.event_records import write_event
from otel_ext.record.entities import Entity
write_event("login", {"password": "hunter2hunter2"}, entity=Entity("agent", "a"))
print(1)
"""
    printed(tmp_path, body, HEAD)
    (found,) = events(tmp_path / "traces")
    assert entity_of(found) == Entity("agent", "a")
    assert "hunter2" not in str(found.attributes)
    assert "hunter2" not in (next((tmp_path / "traces").glob("*.jsonl"))).read_text()


def test_a_forked_child_writes_its_own(tmp_path: Path) -> None:
    """The child's events have its process; each is there once."""
    body = """\
from otel_ext.inflight.event_records import write_event
write_event("parent")
child = os.fork()
if not child:
    write_event("child")
    handle.force_flush()
    os._exit(0)
os.waitpid(child, 0)
print(1)
"""
    printed(tmp_path, body, HEAD)
    found = {record.name: record.process.id for record in events(tmp_path / "traces")}
    assert sorted(found) == ["child", "parent"]
    assert len(events(tmp_path / "traces")) == 2
    assert found["child"] != found["parent"]


def test_threads_write_each_event_once(tmp_path: Path) -> None:
    """No number is given twice, and no record is lost."""
    body = """\
from otel_ext.inflight.event_records import write_event
threads = [threading.Thread(target=lambda: [write_event("x") for _ in range(200)]) for _ in "abcd"]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(1)
"""
    printed(tmp_path, body, HEAD)
    found = events(tmp_path / "traces")
    assert len({record.seq for record in found}) == len(found) == 800


def test_the_origin_is_the_caller(tmp_path: Path) -> None:
    """Span, place, thread and task of the user's code."""
    body = """\
import asyncio
keep = LifecycleSpanProcessor(one)
provider = TracerProvider()
async def main():
    with provider.get_tracer("t").start_as_current_span("work") as span:
        write_event("x", origin=origin_here())
        return format(span.get_span_context().span_id, "016x")
span = asyncio.run(main())
(found,) = one.records
task, site = found.task.name, (found.call_site.file, found.call_site.function)
print(json.dumps([found.span_id == span, len(found.trace_id), task[:4], site, found.thread.name]))
"""
    found = printed(tmp_path, body)
    assert found == [True, 32, "Task", ["program.py", "main"], "MainThread"]


class Hostile:
    """Fails however it is used."""

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - it returns nothing
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "attributes", [None, 7, "text", {1: Hostile()}, {"a": Hostile()}, {"a": float("nan")}]
)
def test_odd_values_never_raise(attributes: Any) -> None:  # noqa: ANN401 - anything
    """Whatever the caller hands over, with destinations or without."""
    assert write_event("odd", attributes, entity=Entity("agent", "a")) in {True, False}


def test_odd_values_are_recorded_or_reported(tmp_path: Path) -> None:
    """A destination gets what can be written, and the next event as ever."""
    body = """\
class Hostile:
    def __getattribute__(self, name): raise RuntimeError(name)
keep = LifecycleSpanProcessor(one)
for attributes in (None, 7, {1: Hostile()}, {"a": Hostile()}, {"a": {"b": {1, 2}}}):
    write_event("odd", attributes, entity=Entity("agent", "a"))
write_event(None, {})
write_event("next", {"n": 1})
print(json.dumps(shown(one)[-1]))
"""
    assert printed(tmp_path, body) == ["next", {"n": 1}]


def test_no_span_means_no_ids() -> None:
    """Outside a span an origin has a place, but no trace."""
    origin = origin_here()
    assert (origin.trace_id, origin.span_id) == ("", "")
    assert Origin() == NOWHERE


def test_an_end_that_comes_during_an_introduction_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new destination gets the older record of the entity last, and still shows it as gone."""
    known, latest = introductions(), introductions().latest
    entity = Entity("agent", "short")

    def ends_meanwhile() -> list[EventFacts]:
        found = latest()
        monkeypatch.undo()
        write_event("agent.unregistered", entity=entity._replace(deleted=True))
        return found

    write_event("agent.registered", entity=entity)
    capture = RecordCapture()
    provider = TracerProvider()
    processor = LifecycleSpanProcessor(capture)
    provider.add_span_processor(processor)
    monkeypatch.setattr(known, "latest", ends_meanwhile)
    introduce_entities()
    found = [record for record in capture.records if entity_of(record)]
    assert [record.name for record in found] == ["agent.unregistered", "agent.registered"]
    newest: NewestEntities[str] = NewestEntities()
    for record in found:
        about = entity_of(record)
        assert about is not None
        newest.add(record.process.id, about, record.seq, record.name)
    assert list(newest.living()) == []
    assert processor.tracker.open_records() == []
    provider.shutdown()
