"""`trace_context`: a block in a trace of its own, with its records at hand."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import structlog
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import INVALID_SPAN, ProxyTracerProvider

import otel_ext
from otel_ext.context import carried, current_span, trace_context, traced_executor, with_span
from otel_ext.context import trace_buffer as buffers
from otel_ext.errors import ConfigError
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.runtime.weak_method import WeakMethods
from otel_ext.testing import RecordCapture
from tests.global_provider import as_global, recording_globally
from tests.programs import in_child
from tests.threads import numbered_threads, on_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.context import Trace
    from otel_ext.record.model import Record
    from otel_ext.runtime.listeners import Listener


@pytest.fixture(name="records", autouse=True)
def _records() -> Iterator[RecordCapture]:
    """Record the global provider's spans, and check that no buffer is left."""
    with recording_globally() as capture:
        yield capture
    assert (buffers._known, buffers._buffers) == (set(), {})  # noqa: SLF001
    assert buffers._hear not in LISTENERS.active  # noqa: SLF001


def events(trace: Trace) -> list[str]:
    """Return the `event` texts of a trace's records."""
    return [record.event for record in trace.records()]


def test_the_block_has_its_own_trace_and_records(records: RecordCapture) -> None:
    """The root has no parent; the records of the trace are there in their order."""
    with trace_context("job", n=7) as trace:
        with with_span("step"):
            assert events(trace) == ["job.start", "step.start"]
        assert current_span() is trace.span
    assert events(trace) == ["job.start", "step.start", "step.end", "job.end"]
    assert list(trace.records()) == records.spans
    root, step = trace.records()[0], trace.records()[1]
    assert {record.trace_id for record in trace.records()} == {trace.trace_id}
    assert (root.parent_span_id, step.parent_span_id) == ("", root.span_id)
    assert (root.attributes, root.links, trace.dropped) == ({"n": 7}, (), 0)
    assert len(trace.trace_id) == 32


def test_the_root_has_a_link_to_the_span_around_it(records: RecordCapture) -> None:
    """Within another span the trace is another one, linked to that span."""
    before = get_current()
    with with_span("outer") as outer:
        with trace_context("inner") as trace:
            pass
        assert current_span() is outer
    assert get_current() is before
    start = records.of("outer")[0]
    root = trace.records()[0]
    assert root.trace_id != start.trace_id
    assert root.parent_span_id == ""
    assert [(link.trace_id, link.span_id) for link in root.links] == [
        (start.trace_id, start.span_id)
    ]
    assert events(trace) == ["inner.start", "inner.end"]


def test_nested_traces_have_their_own_records() -> None:
    """The records of an inner trace are not in the outer one, which goes on after it."""
    with trace_context("outer") as outer:
        with trace_context("inner") as inner, with_span("inner work"):
            pass
        with with_span("outer work"):
            pass
    assert events(inner) == ["inner.start", "inner work.start", "inner work.end", "inner.end"]
    assert events(outer) == ["outer.start", "outer work.start", "outer work.end", "outer.end"]
    assert inner.records()[0].links[0].span_id == outer.records()[0].span_id


def test_one_object_can_be_entered_within_itself() -> None:
    """Each entry of the same object is a trace of its own."""
    block = trace_context("again")
    with block as first, block as second:
        pass
    assert first.trace_id != second.trace_id
    assert [events(first), events(second)] == [["again.start", "again.end"]] * 2


def test_one_object_in_two_threads() -> None:
    """Each thread ends its own entry of the same object, in any order."""
    block = trace_context("again")
    entered, left = threading.Event(), threading.Event()

    def longer() -> Trace:
        with block as trace:
            entered.set()
            left.wait(10)
        return trace

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(longer)
        entered.wait(10)
        with block as second:
            pass
        left.set()
        assert events(first.result()) == events(second) == ["again.start", "again.end"]
    block.__exit__(None, None, None)


def test_records_after_the_block_are_not_in_it() -> None:
    """A span that ends after the block is recorded elsewhere, not in the ended trace."""
    with trace_context("job") as trace:
        late = otel_ext.start_span("late")
    otel_ext.end_span(late)
    assert events(trace) == ["job.start", "late.start", "job.end"]


def test_an_exception_ends_the_root_as_an_error(records: RecordCapture) -> None:
    """The exception passes through; the root's end has it, and its buffer is closed."""
    with pytest.raises(ValueError, match="declined"), trace_context("job") as trace:
        raise ValueError("declined")
    (end,) = [record for record in trace.records() if record.phase == "end"]
    assert end.status is not None
    assert (end.status.code, end.status.description) == ("error", "ValueError: declined")
    assert records.open == []


def test_the_buffer_is_bounded_and_counts() -> None:
    """Records beyond the limit are counted; the end of a kept span replaces its start."""
    with trace_context("job", max_records=3) as trace:
        for number in range(4):
            with with_span(f"step {number}"):
                pass
    # Of step 0 both, then no room for the other three; the root's end takes its start's place.
    assert events(trace) == ["job.end", "step 0.start", "step 0.end"]
    assert trace.dropped == 7


@pytest.mark.parametrize("limit", [0, -1, 1.5, "9", None, True])
def test_a_limit_that_is_not_positive(limit: object) -> None:
    """The limit is a positive whole number."""
    with pytest.raises(ConfigError, match="max_records=.* is not a positive number"):
        trace_context("job", max_records=limit)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unconfigured_structlog")
def test_logs_are_in_it() -> None:
    """Logs of structlog within the trace are in its records, and no other logs."""
    kept = RecordCapture()
    otel_ext.configure_structlog(kept)
    logger = structlog.get_logger()
    logger.info("before")
    with trace_context("job") as trace:
        logger.info("stored", order=7)
        with trace_context("another"):
            logger.info("elsewhere")
    logger.info("after")
    assert events(trace) == ["job.start", "stored", "job.end"]
    assert trace.records()[1].attributes == {"order": 7}
    assert [record.name for record in kept.logs] == ["before", "stored", "elsewhere", "after"]


def test_without_a_processor_it_reports_once(capfd: pytest.CaptureFixture[str]) -> None:
    """A provider that only exports as OpenTelemetry does gives no records; that is reported."""
    sources = LISTENERS._sources  # noqa: SLF001 - of providers that other tests left
    LISTENERS._sources = WeakMethods()  # noqa: SLF001
    try:
        with as_global(TracerProvider(shutdown_on_exit=False)):
            for _ in range(3):
                with trace_context("job") as trace:
                    assert trace.span.is_recording()
                assert trace.records() == ()
    finally:
        LISTENERS._sources = sources  # noqa: SLF001
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        "otel-ext: trace_context: there are no records to keep: call otel_ext.configure() first"
    ]


@pytest.mark.parametrize("provider", [None, ProxyTracerProvider()], ids=["none", "proxy"])
def test_with_tracing_off_the_block_just_runs(
    provider: ProxyTracerProvider | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a provider there is no trace, no record and no report."""
    with as_global(provider), trace_context("job") as trace:
        assert trace.span is INVALID_SPAN
    assert (trace.trace_id, trace.records(), trace.dropped) == ("", (), 0)
    assert capfd.readouterr().err == ""


def test_a_trace_that_is_not_sampled_has_an_id_and_no_records(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """If the sampler drops the root, the trace has its id, and no records."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    with as_global(provider), trace_context("job") as trace, with_span("step"):
        pass
    assert (len(trace.trace_id), trace.records()) == (32, ())
    assert capfd.readouterr().err == ""


def test_several_processors_give_each_record_once() -> None:
    """Two processors on the provider do not double the records."""
    provider = TracerProvider(shutdown_on_exit=False)
    for _ in range(2):
        provider.add_span_processor(LifecycleSpanProcessor(RecordCapture()))
    with as_global(provider), trace_context("job") as trace, with_span("step"):
        pass
    assert events(trace) == ["job.start", "step.start", "step.end", "job.end"]
    provider.shutdown()


def test_a_root_whose_start_was_missed_still_has_its_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the record of the root's start does not arrive, all others of the trace do."""
    add = LISTENERS.add

    def ignore(_listener: Listener) -> None: ...

    monkeypatch.setattr(LISTENERS, "add", ignore)
    with trace_context("job") as trace:
        add(buffers._hear)  # noqa: SLF001
        with with_span("step"):
            pass
    assert events(trace) == ["step.start", "step.end", "job.end"]


def test_a_trace_that_begins_while_another_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that another thread begins while the last one ends is heard to its end."""
    remove = LISTENERS.remove
    block = trace_context("second")
    begun: list[Trace] = []

    def begin_before(listener: Listener) -> None:
        monkeypatch.undo()
        begun.append(block.__enter__())
        remove(listener)

    with trace_context("first"):
        monkeypatch.setattr(LISTENERS, "remove", begin_before)
    with with_span("step"):
        pass
    block.__exit__(None, None, None)
    assert events(begun[0]) == ["second.start", "step.start", "step.end", "second.end"]


def own(name: str) -> tuple[Record, ...]:
    """Run a trace with two steps, each in another thread of control at times."""
    with trace_context(name) as trace:
        for step in "ab":
            with with_span(f"{name} {step}"):
                pass
    return trace.records()


def expected(name: str) -> list[str]:
    """Return the events of such a trace."""
    steps = [f"{name} {step}.{phase}" for step in "ab" for phase in ("start", "end")]
    return [f"{name}.start", *steps, f"{name}.end"]


def test_traces_in_threads_do_not_mix() -> None:
    """Traces that run at the same time on 16 threads have the records of their own."""
    found: dict[str, list[str]] = {}
    barrier = threading.Barrier(16, timeout=30)

    def run(number: int) -> None:
        barrier.wait()
        for turn in range(10):
            name = f"{number}-{turn}"
            found[name] = [record.event for record in own(name)]

    numbered_threads(16, run)
    assert len(found) == 160
    assert found == {name: expected(name) for name in found}


def test_traces_in_tasks_do_not_mix() -> None:
    """Traces of 200 tasks that interleave at random have the records of their own."""
    chance = random.Random(7)

    async def run(name: str) -> list[str]:
        async with trace_context(name) as trace:
            for step in "ab":
                with with_span(f"{name} {step}"):
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)
        return events(trace)

    async def main() -> list[list[str]]:
        return await asyncio.gather(*(run(str(number)) for number in range(200)))

    assert asyncio.run(main()) == [expected(str(number)) for number in range(200)]


def test_work_that_the_block_hands_over_is_in_it() -> None:
    """Spans of threads, pooled jobs and tasks that the block starts are in its records."""

    def work(name: str) -> None:
        with with_span(name):
            pass

    async def run() -> None:
        await asyncio.gather(asyncio.to_thread(work, "to thread"))

    with trace_context("job") as trace:
        on_thread(carried(lambda: work("thread")))
        with traced_executor(ThreadPoolExecutor(1)) as executor:
            executor.submit(work, "pool").result(30)
        asyncio.run(run())
    names = [record.name for record in trace.records() if record.phase == "end"]
    assert names == ["thread", "pool", "to thread", "job"]


@pytest.mark.forks
def test_a_forked_child_has_its_own_copy() -> None:
    """A child that is forked within the block adds its spans to its own copy of the records."""
    with trace_context("job") as trace:

        def run() -> str:
            with with_span("in the child"):
                pass
            return " ".join(events(trace))

        assert in_child(run) == "job.start in the child.start in the child.end"
    assert events(trace) == ["job.start", "job.end"]
