"""The caches and direct reads of the compiled hooks never return a wrong value."""

from __future__ import annotations

import gc
import inspect
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otel_ext._accel import load_speed
from otel_ext.exporters import JsonlExporter
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.table import open_spans
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.record import codec
from otel_ext.record.model import Process, Record, Scope, ThreadInfo
from otel_ext.record.sanitise.sanitiser import PLAIN
from tests.processors.spans import Recorder, provider_of, provider_with
from tests.programs import spans_in
from tests.threads import in_threads, on_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from opentelemetry.trace import Tracer

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

PROCESS = Process("b00t-1-2-cafe0001")


def span_record(**changes: object) -> Record:
    """Return a start record."""
    record = Record("span", "start", "work", 10**18, 1, PROCESS, span_kind="internal")
    record = record._replace(trace_id="ab" * 16, span_id="cd" * 8, **changes)  # type: ignore[arg-type]
    return PLAIN.sanitise(record)


def test_a_kept_record_does_not_change() -> None:
    """Records are reused only when nothing refers to them."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")
    seen: list[list[str]] = []
    for number in range(50):
        with tracer.start_as_current_span(f"work {number}", attributes={"n": number}):
            pass
        seen.append([repr(record) for record in recorder.records])
        if number % 7 == 0:
            recorder.records.clear()
            seen.clear()
    latest = [repr(record) for record in recorder.records]
    for earlier in seen:
        assert latest[: len(earlier)] == earlier


@pytest.mark.parametrize("most", [True, 1e6, 10**30])
def test_an_odd_number_of_open_spans_only_costs_speed(most: Any) -> None:  # noqa: ANN401
    """Spans are recorded, and open ones listed, with any number that Python can compare."""
    recorder = Recorder()
    inflight = InflightSettings(max_open_spans=most)
    provider = provider_of(LifecycleSpanProcessor(recorder, inflight=inflight))
    tracer = provider.get_tracer("t")
    tracer.start_span("warm").end()
    still_open = tracer.start_span("work")
    assert "work" in [one.name for one in open_spans()]
    still_open.end()
    assert [record.phase for record in recorder.records] == ["start", "end"] * 2


def test_the_garbage_collector_does_not_list_a_spare_record(tmp_path: Path) -> None:
    """A program that lists all objects finds no record without its fields."""
    tracer = provider_with(JsonlExporter(tmp_path)).get_tracer("t")
    for _ in range(10):
        tracer.start_span("work").end()
    still_open = tracer.start_span("open")
    found = [one for one in gc.get_objects() if type(one) is Record]
    assert still_open.is_recording()
    assert found
    assert all(isinstance(one.name, str) for one in found)


def test_threads_are_distinguished() -> None:
    """Spans have their own thread, whether threads alternate or follow each other."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")
    turn = threading.Barrier(3)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            turn.wait(10)
            with tracer.start_as_current_span(threading.current_thread().name):
                pass

    for generation in range(20):
        names = [f"worker {generation}.{number}" for number in range(3)]
        in_threads(*[lambda: work(3)] * 3, names=names)
    assert len(recorder.spans) == 20 * 3 * 3 * 2
    assert all(one.thread is not None and one.thread.name == one.name for one in recorder.spans)


class Late:
    """Opens a span in its finalizer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __del__(self) -> None:
        span = self.tracer.start_span("late")
        assert all(one.owner_alive in {True, False} for one in open_spans())
        span.end()


def test_a_thread_whose_local_storage_is_freed_may_open_spans() -> None:
    """The last finalizers of a thread run after its thread-local storage was cleared."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")
    local = threading.local()

    def work() -> None:
        tracer.start_span("first").end()
        local.late = Late(tracer)

    for _ in range(20):
        on_thread(work)
    assert [one.phase for one in recorder.records if one.name == "late"] == ["start", "end"] * 20


def test_a_span_whose_attributes_were_read_through_vars() -> None:
    """`vars()` makes the interpreter store an instance's attributes in a dict."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")
    for name in ("first", "second"):
        span = tracer.start_span(name, attributes={"a": 1})
        assert vars(span)["_name"] == name
        span.update_name(f"{name}, renamed")
        span.end()
    assert [one.name for one in recorder.records if one.phase == "end"] == [
        "first, renamed",
        "second, renamed",
    ]


@contextmanager
def opened(tracer: Tracer, name: str) -> Generator[None]:
    """Open a span from inside a generator."""
    with tracer.start_as_current_span(name):
        yield


def test_call_sites_are_the_same_the_second_time() -> None:
    """A call site is found through the frames, then in the cache: both give the same one."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")

    class Worker:
        def run(self, name: str) -> None:
            tracer.start_span(name).end()

    def lazily() -> Generator[int]:
        for number in range(2):
            tracer.start_span("generator").end()
            yield number

    for _ in range(3):
        Worker().run("method")
        assert [tracer.start_span("comprehension").end() for _ in range(2)] == [None, None]
        assert list(lazily()) == [0, 1]
        with opened(tracer, "context manager"):
            pass
        end_it: Callable[[], None] = lambda: tracer.start_span("lambda").end()  # noqa: E731 - a frame of its own
        end_it()
        exec("tracer.start_span('exec').end()", {"tracer": tracer})  # noqa: S102 - ours
    call_sites: dict[str, set[tuple[str, int, str]]] = {}
    for one in recorder.records:
        if one.phase == "start":
            location = (one.call_site.file, one.call_site.line, one.call_site.function)
            call_sites.setdefault(one.name, set()).add(location)
    assert {name: len(locations) for name, locations in call_sites.items()} == dict.fromkeys(
        ("method", "comprehension", "generator", "context manager", "lambda", "exec"), 1
    )
    assert {locations.copy().pop()[0] for locations in call_sites.values()} == {
        call_sites["method"].copy().pop()[0],
        "<string>",
    }


def test_a_cached_text_of_several_fields_is_used_only_for_these() -> None:
    """Kind, scope and thread are cached as one text, used only if all three are the same."""
    scopes = [Scope("a"), Scope("b", "1"), None]
    threads = [ThreadInfo(1, "one"), ThreadInfo(2, "two"), None]
    for _ in range(3):
        for kind in ("internal", "server", ""):
            for scope in scopes:
                for thread in threads:
                    record = span_record(span_kind=kind, scope=scope, thread=thread)
                    assert codec.encode_line(record) == codec.encode_line_python(record)


def test_keys_are_distinguished() -> None:
    """The cache of plain keys goes by the object, even if another object reuses its address."""
    for number in range(2_000):
        for key in (f"key {number}", f'quo"te {number}', "__tracer_meta__", "plain"):
            record = span_record(attributes={key: number})
            assert codec.encode_line(record) == codec.encode_line_python(record)


@pytest.mark.parametrize("number", [1, 2**30, 2**60, 2**63, 2**64 - 1, 2**64, 2**127, 2**128 - 1])
def test_identifiers_of_every_length(number: int) -> None:
    """An identifier is written with all its zeros, whatever its size as a Python integer."""
    recorder = Recorder()

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return number

        def generate_span_id(self) -> int:
            return number & (2**64 - 1)

    provider_with(recorder, id_generator=Ids()).get_tracer("t").start_span("work").end()
    for one in recorder.spans:
        assert one.trace_id == f"{number:032x}"
        assert one.span_id == f"{number & (2**64 - 1):016x}"


def test_the_hooks_are_methods_that_anybody_can_wrap(tmp_path: Path) -> None:
    """They are functions of the class, as Python made them, and take arguments in any way."""
    assert inspect.isfunction(LifecycleSpanProcessor.on_start)
    assert inspect.isfunction(LifecycleSpanProcessor.on_end)
    processor: Any = LifecycleSpanProcessor(JsonlExporter(tmp_path))
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    spans = [tracer.start_span("work") for _ in range(3)]
    processor.on_start(spans[0])
    processor.on_start(spans[1], None)
    processor.on_start(parent_context=None, span=spans[2])
    for span in spans:
        span.end()
        processor.on_end(span=span)
    processor.shutdown()
    assert [one.phase for one in spans_in(tmp_path)] == ["start"] * 3 + ["end"] * 3


def test_times_are_the_sdks() -> None:
    """Times are read directly from Python integers, small and large ones."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")
    times = [(1, 2), (2**30 - 1, 2**30), (2**60 - 1, 2**60), (10**18, 2**63 - 1), (5, 2**70)]
    for start, end in times:
        tracer.start_span("work", start_time=start).end(end)
    ends = [one for one in recorder.records if one.phase == "end"]
    assert [(one.start_ns, one.time_ns) for one in ends] == times
    for one in ends:
        assert codec.encode_line(one) == codec.encode_line_python(one)
