"""The program goes on, whatever in `LifecycleSpanProcessor` raises, recurses or hangs."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_ext.exporters import FanOut, JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor, lifecycle
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.process import incarnation
from tests.exporters.samples import Hanging, Noting, Spoilt
from tests.processors.spans import Recorder, provider_of, provider_with
from tests.programs import in_child, spans_in, wait_until
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import Tracer

    from otel_ext.record.model import Record


class OursError(Exception):
    """Raised by a part of this package that the test makes fail."""


class TheirsError(Exception):
    """Raised by the user's code."""


def use(tracer: Tracer) -> None:
    """Use spans in every way, and check that the program's own exception arrives unchanged."""
    theirs = TheirsError("the user's own")

    def work() -> None:
        with tracer.start_as_current_span("outer", attributes={"a": 1}) as span:
            span.add_event("e")
            with tracer.start_as_current_span("inner"):
                raise theirs

    with pytest.raises(TheirsError) as caught:
        work()
    assert caught.value is theirs
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# Every function and attribute of this package that the hooks use.
DEPENDENCIES = [
    (lifecycle, "identify"),
    (lifecycle, "capture_start"),
    (lifecycle, "capture_end"),
    (incarnation, "current"),
    ("processor._table", "add"),
    ("processor._table", "pop"),
    ("processor._table", "is_inherited"),
    ("processor.tracker", "begin"),
    ("processor.tracker", "stop"),
    ("processor", "_export"),
    ("processor", "_recognise"),
    ("exporter", "export"),
    ("exporter", "force_flush"),
    ("exporter", "shutdown"),
]


# Those whose work the compiled hooks do themselves.
PASSED_BY = {"identify", "capture_start", "capture_end", "add", "pop"}


@pytest.mark.parametrize("hooks", ["as chosen", "python"])
@pytest.mark.parametrize(
    ("holder", "name"), DEPENDENCIES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_no_hook_raises_whatever_fails(
    hooks: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    holder: Any,  # noqa: ANN401 - a module, or the name of an object below
    name: str,
) -> None:
    """The program and its other processors go on when any one part of this package fails."""
    reached: list[str] = []

    def fail(*_: object, **__: object) -> NoReturn:
        reached.append(name)
        raise OursError("broken on purpose")

    if hooks == "python":
        monkeypatch.setattr(lifecycle, "begin_span", LifecycleSpanProcessor.begin_span)
        monkeypatch.setattr(lifecycle, "end_span", LifecycleSpanProcessor.end_span)
    is_compiled = lifecycle.begin_span is not LifecycleSpanProcessor.begin_span
    memory, exporter = InMemorySpanExporter(), Recorder()
    processor = LifecycleSpanProcessor(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    early = provider.get_tracer("t").start_span("early")  # its end has no start
    for one in (processor, SimpleSpanProcessor(memory)):
        provider.add_span_processor(one)
    if isinstance(holder, str):
        target: object = {"processor": processor, "exporter": exporter}[holder.split(".")[0]]
        for part in holder.split(".")[1:]:
            target = getattr(target, part)
        holder = target
        if name == "export":
            monkeypatch.setattr(processor, "_export", fail)
    # Slots cannot be replaced on an object; on its class they can.
    where = holder if hasattr(holder, "__dict__") else cast("object", type(holder))
    monkeypatch.setattr(where, name, fail)

    use(provider.get_tracer("t"))
    early.end()
    provider.force_flush()
    processor.shutdown()
    monkeypatch.undo()
    assert [span.name for span in memory.get_finished_spans()] == ["inner", "outer", "early"]
    assert reached or (is_compiled and name in PASSED_BY)
    assert "Traceback" not in capfd.readouterr().err


def test_losses_are_counted_and_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Each record of an exporter that raises is counted; start and end are reported once each."""
    before = COUNTERS.value("dropped.hook_failed")
    provider = provider_with(Spoilt())
    for _ in range(5):
        use(provider.get_tracer("t"))
    assert COUNTERS.value("dropped.hook_failed") - before >= 20
    output = capfd.readouterr().err
    assert output.count("a start record is lost: SpoiltError") == 1
    assert output.count("an end record is lost: SpoiltError") == 1
    assert not provider.force_flush()
    provider.shutdown()


class Hostile(str):
    """A text that the SDK accepts and whose methods raise."""

    __slots__ = ()

    def __str__(self) -> str:
        raise OursError("no text")

    __repr__ = __str__

    def __hash__(self) -> int:
        raise OursError("no hash")

    def __eq__(self, other: object) -> bool:
        raise OursError("no comparison")


def test_hostile_attributes_lose_only_themselves(tmp_path: Path) -> None:
    """Values that raise, are not numbers, not Unicode or far too long: the span is recorded."""
    provider = provider_with(JsonlExporter(tmp_path))
    attributes = {
        "hostile": Hostile("kept"),
        "nan": float("nan"),
        "surrogate": "a\ud800b",
        "huge": 10**400,
        "long": "x" * 3_000_000,
        "bytes": b"\xff\x00",
        "__tracer_meta__": "mine",
        "timestamp": "mine",
        "good": 1,
    }
    with provider.get_tracer("t").start_as_current_span(
        "n\x1b[2J\ud800", attributes=cast("Any", attributes)
    ):
        pass
    provider.shutdown()
    spans = spans_in(tmp_path)
    assert [record.phase for record in spans] == ["start", "end"]
    for record in spans:
        assert record.attributes["good"] == 1
        assert record.attributes["nan"] == "NaN"
        assert record.attributes["user.__tracer_meta__"] == "mine"
        assert record.attributes["timestamp"] == "mine"


def test_exporter_that_starts_spans_does_not_recurse(capfd: pytest.CaptureFixture[str]) -> None:
    """An exporter that is itself traced is stopped after a few levels, with a report."""

    class Traced(Recorder):
        def export(self, record: Record) -> None:
            super().export(record)
            if record.kind == "span":
                tracer.start_span(f"deeper than {record.name[:40]}").end()

    recorder = Traced()
    tracer = provider_with(recorder).get_tracer("t")
    before = COUNTERS.value("dropped.reentrant")
    tracer.start_span("top").end()
    assert {"top.start", "top.end"} <= set(recorder.events)
    assert len(recorder.spans) < 200
    assert COUNTERS.value("dropped.reentrant") > before
    assert "an exporter starts spans without end" in capfd.readouterr().err


def test_flush_and_shutdown_of_an_exporter_that_hangs() -> None:
    """An exporter that hangs in a FanOut blocks neither flush nor shutdown of the provider."""
    hanging, good = Hanging(), Noting()
    provider = provider_with(FanOut(hanging, good, shutdown_seconds=0.2))
    try:
        assert not provider.force_flush(timeout_millis=200)
        wait_until(lambda: len(good.flushes) == 1, "the other is flushed")
        provider.shutdown()
        wait_until(lambda: good.shutdowns == 1, "the other is shut down")
    finally:
        hanging.released.set()


def test_spans_after_shutdown_are_ignored() -> None:
    """After shutdown spans still work but are not exported; shutdown is idempotent."""
    recorder = Recorder()
    processor = LifecycleSpanProcessor(recorder)
    provider = provider_of(processor)
    processor.shutdown()
    processor.shutdown()
    use(provider.get_tracer("t"))
    assert recorder.spans == []
    assert recorder.shutdowns == 1


def test_open_spans_at_shutdown_are_reported() -> None:
    """A span that is open at shutdown gets an abandoned end; its own end is too late."""
    recorder = Recorder()
    provider = provider_with(recorder)
    span = provider.get_tracer("t").start_span("job")
    provider.shutdown()
    span.end()
    start, end = recorder.of("job")
    assert end.abandoned == "shutdown"
    assert end.start_ns == start.time_ns


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_of_the_user_pass(error: type[BaseException]) -> None:
    """Ctrl-C and an exit inside a span arrive unchanged."""
    recorder = Recorder()
    tracer = provider_with(recorder).get_tracer("t")

    def work() -> None:
        with tracer.start_as_current_span("job"):
            raise error

    with pytest.raises(error):
        work()
    assert recorder.events == ["job.start", "job.end"]


@pytest.mark.usefixtures("untraced")
def test_spans_from_signal_handlers_and_finalizers(tmp_path: Path) -> None:
    """Spans started in a signal handler or by the garbage collector, in the middle of others."""
    provider = provider_with(JsonlExporter(tmp_path))
    tracer = provider.get_tracer("t")
    made = {"signal": 0, "finalizer": 0}

    def note(kind: str) -> None:
        made[kind] += 1
        tracer.start_span(kind).end()

    class Dying:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            note("finalizer")

    def on_alarm(_number: int, _frame: object) -> None:
        note("signal")
        # Not at an interval: a busy machine would only handle signals.
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        for number in range(3_000):
            tracer.start_span("work").end()
            if number % 100 == 0:
                Dying()
                gc.collect(1)
        gc.collect()
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    provider.shutdown()
    spans = spans_in(tmp_path)
    for kind, expected in {"work": 3_000, **made}.items():
        phases = [record.phase for record in spans if record.name == kind]
        assert phases.count("start") == phases.count("end") == expected
    assert made["signal"] > 0
    assert made["finalizer"] == 30


@pytest.fixture
def forked() -> Iterator[tuple[TracerProvider, Recorder, Span]]:
    """Return a provider with an open span, to fork beside."""
    recorder = Recorder()
    provider = provider_with(recorder)
    span = provider.get_tracer("t").start_span("the parent's")
    yield provider, recorder, cast("Span", span)
    provider.shutdown()


@pytest.mark.forks
def test_child_does_not_end_its_parents_spans(
    forked: tuple[TracerProvider, Recorder, Span],
) -> None:
    """A forked child records its own spans, and none of the parent's."""
    provider, recorder, span = forked

    def child() -> str:
        recorder.records.clear()
        span.end()
        provider.get_tracer("t").start_span("the child's").end()
        return ";".join(f"{r.event} {r.process.pid == os.getpid()}" for r in recorder.spans)

    assert in_child(child) == "the child's.start True;the child's.end True"
    span.end()
    assert recorder.events == ["the parent's.start", "the parent's.end"]


def test_eight_threads(tmp_path: Path) -> None:
    """On eight threads every span has one start and one end, and numbers are unique."""
    provider = provider_with(JsonlExporter(tmp_path))
    tracer = provider.get_tracer("t")

    def work(number: int) -> None:
        for _ in range(300):
            with tracer.start_as_current_span(f"w{number}"), tracer.start_as_current_span("in"):
                pass

    numbered_threads(8, work)
    provider.shutdown()
    spans = spans_in(tmp_path)
    for phase in ("start", "end"):
        keys = [record.key for record in spans if record.phase == phase]
        assert len(keys) == len(set(keys)) == 4_800
    assert len({record.seq for record in spans}) == 9_600


def test_open_spans_are_watched_as_soon_as_a_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each start tries again, whatever has ended since; with the compiled hooks too."""
    tries: list[bool] = []

    def begin() -> bool:
        tries.append(len(tries) == 2)
        return tries[-1]

    processor = LifecycleSpanProcessor(Recorder())
    monkeypatch.setattr(processor.tracker, "begin", begin)
    provider = provider_of(processor)
    while incarnation.current().next_seq() % lifecycle._CHECK_EVERY:  # noqa: SLF001 - checks again
        pass
    for count in (1, 2, 3, 3):
        provider.get_tracer("t").start_span("work").end()
        assert len(tries) == count
    provider.shutdown()


def test_a_shutdown_beside_a_span_ends_the_fast_path() -> None:
    """A thread that starts a span meanwhile may put the compiled steps' parts back."""
    processor = LifecycleSpanProcessor(Noting())
    tracer = provider_of(processor).get_tracer("t")
    tracer.start_span("before").end()
    parts = processor._hook_parts()  # noqa: SLF001 - the order of two threads
    processor.shutdown()
    processor._fast_path = parts  # noqa: SLF001 - likewise
    for _ in range(200):
        tracer.start_span("after")
    assert processor._fast_path is None  # noqa: SLF001 - so that later spans are refused
