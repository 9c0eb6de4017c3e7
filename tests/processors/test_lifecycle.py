"""`LifecycleSpanProcessor`: exactly one start and one end for every sampled span."""

from __future__ import annotations

import asyncio
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record.model import Link as LinkInRecord
from otel_ext.record.model import TraceContext
from tests.processors.spans import Recorder, provider_of, provider_with, recording
from tests.threads import numbered_threads, on_thread

if TYPE_CHECKING:
    from types import FrameType


def test_start_is_there_while_the_span_runs() -> None:
    """The start record is exported before `start_span` returns, the end record at the end."""
    tracer, recorder = recording()
    span = tracer.start_span("job")
    assert recorder.events == ["job.start"]
    span.end()
    assert recorder.events == ["job.start", "job.end"]


def test_start_and_end_agree() -> None:
    """Both records have the same ids, process, call site, thread and scope; numbers grow."""
    tracer, recorder = recording()
    with tracer.start_as_current_span("job"):
        pass
    start, end = recorder.of("job")
    same = (
        "trace_id",
        "span_id",
        "parent_span_id",
        "process",
        "call_site",
        "thread",
        "scope",
        "span_kind",
    )
    assert [getattr(start, name) for name in same] == [getattr(end, name) for name in same]
    assert start.seq < end.seq
    assert end.start_ns == start.time_ns <= end.time_ns
    assert (start.scope and start.scope.name, start.scope and start.scope.version) == (
        "tests.scope",
        "1.2",
    )
    assert start.process.pid == os.getpid()


def test_start_is_a_snapshot() -> None:
    """Attributes that are set later are in the end record only."""
    tracer, recorder = recording()
    attributes = {"early": [1, 2]}
    with tracer.start_as_current_span("job", attributes=attributes) as span:
        attributes["early"].append(3)
        span.set_attribute("early", "changed")
        span.set_attribute("late", 1)
        span.update_name("job")
        span.add_event("e")
    start, end = recorder.of("job")
    assert start.attributes == {"early": [1, 2]}
    assert start.events == ()
    assert end.attributes == {"early": "changed", "late": 1}


def test_call_site_is_the_users_line() -> None:
    """File, line and function are those of the `with` statement."""
    tracer, recorder = recording()
    line = cast("FrameType", inspect.currentframe()).f_lineno + 1
    with tracer.start_as_current_span("job"):
        pass
    call_site = recorder.of("job")[0].call_site
    assert Path(call_site.file).samefile(__file__)
    assert call_site.line == line
    assert call_site.function.endswith("test_call_site_is_the_users_line")


def test_parents_links_and_kind() -> None:
    """A child has its parent's id, links have ids and attributes, the kind is a word."""
    tracer, recorder = recording()
    other = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1))
    links = [Link(other, {"why": "batch"})]
    with (
        tracer.start_as_current_span("parent", kind=SpanKind.CONSUMER),
        tracer.start_as_current_span("child", links=links) as span,
    ):
        span.add_link(SpanContext(8, 10, is_remote=False))
    parent, child = recorder.of("parent")[0], recorder.of("child")
    assert (parent.span_kind, child[0].span_kind) == ("consumer", "internal")
    assert parent.parent_span_id == ""
    assert child[0].parent_span_id == parent.span_id
    assert child[0].trace_id == parent.trace_id
    remote = TraceContext(is_remote=True)
    assert child[0].links == (LinkInRecord(f"{7:032x}", f"{9:016x}", {"why": "batch"}, 0, remote),)
    assert [link.span_id for link in child[1].links] == [f"{9:016x}", f"{10:016x}"]


def test_remote_parent_is_named() -> None:
    """A parent in another process is recorded as the parent."""
    tracer, recorder = recording()
    remote = SpanContext(3, 4, is_remote=True, trace_flags=TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    tracer.start_span("job", context=context).end()
    assert recorder.of("job")[0].parent_span_id == f"{4:016x}"


def test_events_status_and_exception() -> None:
    """The end record has the events in order, the status, and the exception as in the SDK."""
    tracer, recorder = recording()

    def fail() -> None:
        with tracer.start_as_current_span("job") as span:
            span.add_event("halfway", {"percent": 50}, timestamp=123)
            raise LookupError("no such row")

    with pytest.raises(LookupError, match="no such row"):
        fail()
    end = recorder.of("job")[1]
    assert end.status == ("error", "LookupError: no such row")
    first, second = end.events
    assert (first.name, first.time_ns, first.attributes) == ("halfway", 123, {"percent": 50})
    assert second.attributes["exception.type"] == "LookupError"


def test_status_ok() -> None:
    """A status of OK is recorded as OK."""
    tracer, recorder = recording()
    with tracer.start_as_current_span("job") as span:
        span.set_status(Status(StatusCode.OK))
    assert recorder.of("job")[1].status == ("ok", "")


def test_passed_times_are_kept() -> None:
    """Start and end times that the caller passes are recorded to the nanosecond."""
    tracer, recorder = recording()
    tracer.start_span("job", start_time=1_000_000_007).end(end_time=2_000_000_011)
    start, end = recorder.of("job")
    assert (start.time_ns, end.start_ns, end.time_ns) == (
        1_000_000_007,
        1_000_000_007,
        2_000_000_011,
    )


@pytest.mark.parametrize("order", ["before", "behind"])
def test_beside_stock_processors_in_any_order(order: str) -> None:
    """Stock processors before or after it get the same spans."""
    memory, recorder = InMemorySpanExporter(), Recorder()
    processors = [SimpleSpanProcessor(memory), LifecycleSpanProcessor(recorder)]
    provider = provider_of(*(processors if order == "before" else reversed(processors)))
    for name in ("a", "b"):
        provider.get_tracer("t").start_span(name).end()
    seen = [f"{s.context.span_id:016x}" for s in memory.get_finished_spans() if s.context]
    assert [record.span_id for record in recorder.spans if record.phase == "end"] == seen


def test_several_processors_on_one_provider() -> None:
    """Each processor exports each span once, with numbers of its own."""
    both = [Recorder(), Recorder()]
    provider = provider_of(*map(LifecycleSpanProcessor, both))
    provider.get_tracer("t").start_span("job").end()
    assert [recorder.events for recorder in both] == [["job.start", "job.end"]] * 2
    numbers = [record.seq for recorder in both for record in recorder.spans]
    assert len(set(numbers)) == 4


def test_one_processor_on_several_providers() -> None:
    """Each provider's spans have the process with its resource, also on several threads."""
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder)
    providers: list[TracerProvider] = []
    for number in range(3):
        resource = Resource({"service.name": f"service-{number}"})
        providers.append(provider_of(processor, resource=resource))

    def work(number: int) -> None:
        tracer = providers[number].get_tracer("t")
        for _ in range(300):
            tracer.start_span(f"job-{number}").end()

    numbered_threads(3, work)
    assert len(recorder.spans) == 1_800
    for record in recorder.spans:
        assert record.process.resource["service.name"] == record.name.replace("job", "service")
    assert len({record.process.id for record in recorder.spans}) == 3


def test_one_processor_added_twice() -> None:
    """A span has one end for each of its starts if a processor is registered twice."""
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder)
    provider = provider_of(processor, processor)
    provider.get_tracer("t").start_span("job").end()
    assert recorder.events.count("job.start") == recorder.events.count("job.end") == 2


@pytest.mark.parametrize("kind", ["synchronous", "concurrent"])
def test_in_a_multi_processor(kind: str) -> None:
    """It works within both of the SDK's multi-processors."""
    recorder = Recorder()
    concurrent = ConcurrentMultiSpanProcessor(num_threads=2)
    synchronous: SynchronousMultiSpanProcessor = cast("Any", SynchronousMultiSpanProcessor)()
    multi = synchronous if kind == "synchronous" else concurrent
    provider = provider_with(recorder, active_span_processor=multi)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    with provider.get_tracer("t").start_as_current_span("job", attributes={"n": 1}):
        pass
    assert provider.force_flush()
    assert recorder.events == ["job.start", "job.end"]
    provider.shutdown()
    concurrent.shutdown()
    assert recorder.shutdowns == 1


def test_tasks_and_threads_are_named() -> None:
    """Records contain the thread, and within asyncio the task."""
    tracer, recorder = recording()

    async def work() -> None:
        tracer.start_span("in a task").end()

    def run() -> None:
        asyncio.run(work())

    on_thread(run, "loop thread")
    start, end = recorder.of("in a task")
    assert start.thread is not None
    assert start.task is not None
    assert start.thread.name == "loop thread"
    assert start.task.name.startswith("Task-")
    assert (end.thread, end.task) == (start.thread, start.task)


def test_span_ended_on_another_thread_keeps_its_owner() -> None:
    """The end record contains the thread that opened the span."""
    tracer, recorder = recording()
    span = tracer.start_span("job")
    on_thread(span.end, "closer")
    start, end = recorder.of("job")
    assert end.thread == start.thread
    assert end.call_site == start.call_site


def test_end_without_a_start_is_recorded() -> None:
    """A processor that is added while a span runs exports its end."""
    recorder = Recorder()
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("t").start_span("job", start_time=5)
    provider.add_span_processor(LifecycleSpanProcessor(recorder))
    span.end()
    assert recorder.events == ["job.end"]
    assert recorder.spans[0].start_ns == 5


def test_ending_twice_is_once(capfd: pytest.CaptureFixture[str]) -> None:
    """A second call of `end` makes no second record."""
    tracer, recorder = recording()
    span = tracer.start_span("job")
    span.end()
    span.end()
    assert recorder.events == ["job.start", "job.end"]
    assert "otel-ext" not in capfd.readouterr().err


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("spans", [1, 2, 4], ids="{} spans a request".format)
def test_a_dead_worker_is_noticed_whatever_the_program_repeats(
    monkeypatch: pytest.MonkeyPatch, before: int, spans: int
) -> None:
    """Requests that make the same number of records each do not miss the check for ever."""
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder)
    tracer = provider_of(processor).get_tracer("t")
    checks: list[bool] = []

    def begin() -> bool:
        checks.append(True)
        return True

    monkeypatch.setattr(processor.tracker, "begin", begin)
    kept = [tracer.start_span("open") for _ in range(before + 1)]
    checks.clear()
    for _ in range(200):
        request = [tracer.start_span("work") for _ in range(spans)]
        for span in request:
            span.end()
    assert checks
    for span in kept:
        span.end()
    processor.shutdown()
