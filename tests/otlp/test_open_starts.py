"""Starts that are not queued: they come from the tables of open spans when they are due."""

from __future__ import annotations

from math import inf
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import set_span_in_context

from otel_ext._accel import load_speed
from otel_ext.exporters import CompatExporter, FanOut, JsonlExporter, ResilientExporter
from otel_ext.exporters.delivery.open_starts import OpenStarts
from otel_ext.exporters.delivery.queue import PriorityQueue, QueueLimits
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.table import span_key
from otel_ext.journal.settings import JournalSettings
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.model import Record
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.worker import Worker
from tests.exporters import samples
from tests.otlp.test_remote_queue import Keeping
from tests.processors.spans import provider_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from opentelemetry.sdk.trace import Span

    from otel_ext.protocols import RecordExporter

GRACE = 30.0


def is_real_end(record: Record) -> bool:
    """Return whether to send a record."""
    return record.is_real_end


class Manual(RemoteQueue):
    """A queue that sends only what a test flushes."""

    def run(self) -> None:
        """Send nothing."""


class Program:
    """A program whose spans go to a remote queue."""

    def __init__(
        self,
        wrap: Callable[[RemoteQueue], RecordExporter] = lambda queue: queue,
        *,
        grace: float = GRACE,
        limits: QueueLimits | None = None,
        defer: Callable[[Record], bool | None] | None = None,
        **options: Any,  # noqa: ANN401 - of the processor
    ) -> None:
        self.sender = Keeping()
        self.worker = Worker("test-open-starts")
        self.queue = Manual(
            self.sender, grace=grace, limits=limits, defer=defer, worker=self.worker
        )
        self.processor = LifecycleSpanProcessor(wrap(self.queue), **options)
        self.provider = provider_of(self.processor)
        self.tracer = self.provider.get_tracer("t")

    def start(self, name: str, **options: Any) -> Any:  # noqa: ANN401 - the SDK's own span
        """Start a span."""
        return self.tracer.start_span(name, **options)

    def kept(self, span: Span) -> object:
        """Return what the table keeps of the start of an open span."""
        entry = self.processor.tracker.table.get(span_key(span.get_span_context()))
        assert entry is not None
        return entry.kept

    def events(self) -> list[str]:
        """Flush, and return the events that were sent since the last time."""
        assert self.provider.force_flush()
        events = self.sender.events
        self.sender.batches.clear()
        return events


@pytest.fixture
def programs() -> Generator[list[Program]]:
    """Programs that end with the test."""
    made: list[Program] = []
    yield made
    for one in made:
        one.provider.shutdown()
        assert one.worker.stop(10.0)


def test_a_start_is_not_queued_but_sent_once_when_it_is_due(programs: list[Program]) -> None:
    """A flush makes all of them due; a span that has ended has no start to send."""
    programs.append(program := Program())
    spans = [program.start(name) for name in ("long", "short")]
    assert not len(program.queue.queue.provisional)
    spans[1].end()
    assert program.events() == ["short.end", "long.start"]
    assert program.events() == []
    spans[0].end()
    assert program.events() == ["long.end"]


def test_starts_above_what_is_sent_are_sent_too(programs: list[Program]) -> None:
    """The topmost first, though they are within their grace."""
    programs.append(program := Program())
    root = program.start("root")
    middle = program.start("middle", context=set_span_in_context(root))
    program.start("leaf", context=set_span_in_context(middle)).end()
    program.start("other")
    batcher = program.queue._batcher  # noqa: SLF001 - to see what is in one batch
    batcher.take(0.0)
    finals = batcher.next_finals(10)
    starts = batcher.next_events(10, 0.0)
    assert [one.event for one in finals.records] == ["leaf.end"]
    shown = [one.event for one in starts.records if one.kind == "span"]
    assert shown == ["root.start", "middle.start"]
    batcher.done(finals)
    batcher.done(starts)
    assert program.events() == ["other.start"]


def test_an_end_drops_the_start_that_was_due(programs: list[Program]) -> None:
    """The start waits for a batch; the end replaces it there, and frees its space."""
    programs.append(program := Program(grace=0.0))
    span = program.start("work")
    batcher, queue = program.queue._batcher, program.queue.queue  # noqa: SLF001 - as above
    batcher._end_grace(monotonic_ns())  # noqa: SLF001 - without a batch
    assert len(queue.provisional) == 1
    span.end()
    assert program.events() == ["work.end"]
    assert len(queue.provisional) == 0


def test_only_as_many_are_taken_as_there_is_room_for() -> None:
    """The others come the next time, and none twice."""
    program = Program()
    for number in range(5):
        program.start(str(number))
    starts, queue = OpenStarts(), PriorityQueue(QueueLimits(records=6, size=10**6))
    starts.add_table(program.processor.tracker.table)
    first = starts.due(inf, queue.provisional)
    assert [item[0].name for item in first] == ["0", "1", "2"]
    assert starts.take(first[0][0].trace_id, first[0][0].span_id, queue.provisional) is None
    queue.provisional.release(first)
    assert [item[0].name for item in starts.due(inf, queue.provisional)] == ["3", "4"]
    assert starts.due(inf, queue.provisional) == []
    program.provider.shutdown()
    program.worker.stop(10.0)


def test_a_decision_that_is_made_later_is_waited_for(programs: list[Program]) -> None:
    """A start that may not be sent is not; an undecided one is asked for again."""
    decisions: dict[str, bool | None] = {"no": False, "later": None}
    programs.append(program := Program(defer=lambda record: decisions.get(record.name, True)))
    for name in ("no", "later", "yes"):
        program.start(name)
    assert program.events() == ["yes.start"]
    decisions["later"] = True
    assert program.events() == ["later.start"]


def test_only_what_is_wanted_is_sent(programs: list[Program]) -> None:
    """Without starts, none comes from the table, and none takes space."""
    programs.append(program := Program())
    program.queue.send_only(is_real_end)
    program.start("open")
    program.start("done").end()
    assert program.events() == ["done.end"]
    assert len(program.queue.queue.provisional) == 0


def test_a_span_that_the_table_refuses_is_queued(programs: list[Program]) -> None:
    """Its start would be in no table."""
    programs.append(program := Program(inflight=InflightSettings(max_open_spans=1)))
    program.start("first")
    program.start("second")
    assert len(program.queue.queue.provisional) == 1
    assert sorted(program.events()) == ["first.start", "second.start"]


def test_a_record_of_no_span_here_is_queued(programs: list[Program]) -> None:
    """Whatever its ids are, as in a program that makes records itself."""
    programs.append(program := Program())
    for trace_id in ("", "x", "ab" * 16):  # the second one cannot be encoded, and is refused
        program.queue.export(samples.start("made", 7)._replace(trace_id=trace_id))
        program.queue.export(samples.end("ended", 8)._replace(trace_id=trace_id, start_ns=1))
    assert sorted(program.events()) == ["ended.end"] * 2 + ["made.start"] * 2


def test_an_exporter_behind_one_that_changes_records_is_told_nothing(
    programs: list[Program],
) -> None:
    """The table has the records before the change."""
    programs.append(program := Program(CompatExporter))
    program.start("work")
    assert len(program.queue.queue.provisional) == 1
    assert program.events() == ["work.start"]


@pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")
def test_beside_files_a_start_is_only_a_line(programs: list[Program], tmp_path: Path) -> None:
    """A fan-out to files and a destination makes a record of a start only if it is sent."""

    def wrap(queue: RemoteQueue) -> RecordExporter:
        files = JsonlExporter(tmp_path / "trace.jsonl", durability="write")
        return FanOut(files, ResilientExporter(queue, folder=None))

    programs.append(program := Program(wrap))
    for _ in range(3):
        program.start("work", attributes={"n": 1}).end()
    program.events()
    span = program.start("work", attributes={"n": 1})
    assert not isinstance(program.kept(span), Record)
    program.start("work", attributes={"n": 1}).end()
    assert program.events() == ["work.end", "work.start"]
    assert isinstance(program.kept(span), Record)
    span.end()
    assert program.events() == ["work.end"]
    lines = (tmp_path / "trace.jsonl").read_text().splitlines()
    assert sum('"event":"work.start"' in line for line in lines) == 5
    assert sum('"event":"work.end"' in line for line in lines) == 5


def test_a_start_that_comes_too_late_is_counted(programs: list[Program]) -> None:
    """The span ended before its start was taken, as when the destination was slow."""
    before = COUNTERS.value("remote.overtaken_starts")
    programs.append(program := Program(grace=0.05))
    late = [program.start("late", start_time=time_ns() - 10**9) for _ in range(3)]
    for span in [program.start("short"), *late]:
        span.end()
    assert program.events() == ["short.end", *["late.end"] * 3]
    assert COUNTERS.value("remote.overtaken_starts") - before == 3


def test_a_start_that_was_sent_is_not_counted(programs: list[Program]) -> None:
    """Nor one that is not wanted, and an update counts as the start."""
    before = COUNTERS.value("remote.overtaken_starts")
    for only_ends in (False, True):
        programs.append(program := Program(grace=0.05))
        if only_ends:
            program.queue.send_only(is_real_end)
        spans = [program.start("long", start_time=time_ns() - 10**9) for _ in range(2)]
        program.queue.export(
            program.processor.tracker.table.start_records()[1]._replace(phase="update")
        )
        shown = ["long.update", "long.start"] if not only_ends else []
        assert program.events() == shown
        for span in spans:
            span.end()
        assert program.events() == ["long.end"] * 2
    assert COUNTERS.value("remote.overtaken_starts") == before


def test_the_next_file_begins_with_the_open_spans(programs: list[Program], tmp_path: Path) -> None:
    """Behind a fan-out too, where the files' exporter got no record of the start."""

    def wrap(queue: RemoteQueue) -> RecordExporter:
        files = JsonlExporter(tmp_path, settings=JournalSettings(segment_size=65_536))
        return FanOut(files, queue)

    programs.append(program := Program(wrap))
    program.start("long")
    for _ in range(200):
        program.start("short").end()
    program.events()
    program.start("last").end()
    program.events()
    files = sorted(tmp_path.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) > 1
    for file in files:
        assert '"event":"long.start"' in file.read_text()


def test_a_start_that_is_taken_introduces_its_process(programs: list[Program]) -> None:
    """Also where only its end's trace leads to it: another process's id means nothing alone."""
    programs.append(program := Program())
    resource = Resource({"service.name": "other"})
    other = LifecycleSpanProcessor(program.queue)
    provider = provider_of(other, resource=resource)
    parent = provider.get_tracer("t").start_span("parent")
    program.start("child", context=set_span_in_context(parent)).end()
    batcher = program.queue._batcher  # noqa: SLF001 - to see what is in one batch
    batcher.take(0.0)
    batcher.done(batcher.next_finals(10))
    events = batcher.next_events(10, 0.0)
    batcher.done(events)
    shown = [(one.event, one.process.id) for one in events.records]
    started = {process for event, process in shown if event == "process.start"}
    assert [event for event, process in shown if process in started].count("parent.start") == 1
    assert len(started) == 2
    parent.end()
    provider.shutdown()
