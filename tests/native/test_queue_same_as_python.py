"""The compiled `export` of a remote queue and of a fan-out do what the Python ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_ext._accel import load_speed
from otel_ext.exporters.delivery.queue import Priority, QueueLimits
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.resilient import ResilientExporter
from otel_ext.exporters.delivery.scheduler import BATCH_SIZE
from otel_ext.exporters.fanout import FanOut
from otel_ext.record.model import Link, PlainAttributes, Process, Record, SpanEvent
from otel_ext.record.sanitise.sanitiser import sanitised
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.exporter_check import fast_export_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from otel_ext.record.model import Phase

pytestmark = pytest.mark.skipif(load_speed() is None, reason="the compiled part was not built")

SPAN = Record("span", "start", "work", 2, 1, Process("p"), trace_id="ab" * 16, span_id="cd" * 8)
END = SPAN._replace(phase="end", start_ns=1)
RECORDS = {
    "start": SPAN,
    "end": END,
    "attributes": SPAN._replace(attributes={"text": "x" * 500, "n": 7}),
    "nested": END._replace(attributes={"list": [1, 2, {"k": "v"}]}),
    "update": SPAN._replace(phase="update"),
    "abandoned": END._replace(abandoned="shutdown"),
    "event": END._replace(events=(SpanEvent("e", 1, {"k": "v" * 99}),)),
    "link": SPAN._replace(links=(Link("ab" * 16, "cd" * 8),)),
    "extra": SPAN._replace(extra={"age_ns": 5}),
    "log": SPAN._replace(kind="log", phase=None),
    "number 61": SPAN._replace(seq=61),
    "a name beyond ASCII": SPAN._replace(name="schön"),
}


def nothing(_: RemoteQueue) -> None:
    """Take nothing from a queue: its job."""


class Silent:
    """A destination that keeps what it gets."""

    signals = ("",)

    def signal_of(self, record: Record) -> str:
        """Return the only signal."""
        return ""

    def encode(self, signal: str, records: Sequence[Record]) -> None:
        """Make no request."""

    def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Generator[tuple[RemoteQueue, RemoteQueue]]:
    """Two queues with running threads that take nothing."""
    monkeypatch.setattr(RemoteQueue, "run", nothing)
    made = tuple(RemoteQueue(Silent(), limits=QueueLimits(40, 100_000)) for _ in range(2))  # type: ignore[arg-type]
    for one in made:
        one._start_threads()  # noqa: SLF001 - otherwise the first record does
    yield made[0], made[1]
    for one in made:
        one.shutdown()


def state(queue: RemoteQueue) -> list[object]:
    """Return everything that waits, with the sizes and what was counted."""
    waiting = queue.queue
    parts: list[Priority] = [waiting.provisional, waiting.finals, waiting.logs]
    return [[(list(one.items), one.size) for one in parts], queue.counts.snapshot()]


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("is_safe", [True, False])
def test_a_record_is_queued_as_by_python(
    queues: tuple[RemoteQueue, RemoteQueue], record: Record, is_safe: bool
) -> None:
    """With its priority and its size, whether it was made safe before or not."""
    python, compiled = queues
    record = sanitised(record) if is_safe else record
    python.export(record)
    compiled.fast_export(record)
    assert state(compiled) == state(python)
    assert any(items for items, _ in state(compiled)[0])  # type: ignore[attr-defined]


def test_usual_records_do_not_reach_the_method(
    queues: tuple[RemoteQueue, RemoteQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts and ends of spans are queued by compiled code alone."""
    queue = queues[0]
    monkeypatch.setattr(queue, "export", None)
    for name in ("start", "end", "attributes", "a name beyond ASCII"):
        queue.fast_export(sanitised(RECORDS[name]))
    assert len(queue.queue.finals) + len(queue.queue.provisional) == 4


def test_a_full_queue_refuses_as_in_python(queues: tuple[RemoteQueue, RemoteQueue]) -> None:
    """By its records and by its bytes, starts and ends apart."""
    python, compiled = queues
    large = PlainAttributes({"text": "x" * 9_000})
    for number in range(2, 60):
        phase: Phase = "end" if number % 3 else "start"
        record = SPAN._replace(phase=phase, seq=number, attributes=large if number > 40 else {})
        for export in (python.export, compiled.fast_export):
            export(sanitised(record))
    assert state(compiled) == state(python)
    assert compiled.counts.snapshot()


def test_what_is_held_takes_space(queues: tuple[RemoteQueue, RemoteQueue]) -> None:
    """Records that were taken and not sent yet count, until they are released."""
    python, compiled = queues
    for queue, export in ((python, python.export), (compiled, compiled.fast_export)):
        for number in range(2, 30):
            export(sanitised(END._replace(seq=number)))
        held = queue.queue.finals.take(20)
        for number in range(62, 90):
            export(sanitised(END._replace(seq=number)))
        queue.queue.finals.release(held[:5])
        for number in range(92, 110):
            export(sanitised(END._replace(seq=number)))
    assert state(compiled) == state(python)
    assert compiled.counts.snapshot()


def test_the_thread_is_woken_for_a_full_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """When so many ends wait as one request has, at any number of a record."""
    monkeypatch.setattr(RemoteQueue, "run", nothing)
    queue = RemoteQueue(Silent())  # type: ignore[arg-type]
    queue._start_threads()  # noqa: SLF001 - otherwise the first record does
    woken: list[int] = []
    monkeypatch.setattr(queue._job, "wake", lambda: woken.append(len(queue.queue.finals)))  # noqa: SLF001
    export = queue.fast_export
    for number in range(2 * BATCH_SIZE):
        export(sanitised(END._replace(seq=2 + 61 * number)))
    monkeypatch.undo()
    queue.shutdown()
    assert woken == [BATCH_SIZE, 2 * BATCH_SIZE]


def test_a_queue_that_ended_or_chooses_calls_python(
    queues: tuple[RemoteQueue, RemoteQueue],
) -> None:
    """After `send_only` and after `shutdown`, the compiled `export` asks the method."""
    first, second = queues
    first.send_only(lambda record: record.phase == "end")
    for record in (SPAN, END):
        first.fast_export(sanitised(record))
    assert [len(items) for items, _ in state(first)[0]] == [0, 1, 0]  # type: ignore[attr-defined]
    second.shutdown()
    before = COUNTERS.value("remote.closed")
    second.fast_export(sanitised(SPAN))
    assert COUNTERS.value("remote.closed") == before + 1


def test_a_queue_with_a_circuit_breaker_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ResilientExporter` passes on the compiled `export` of its queue, unless it has its own."""

    class Own(ResilientExporter):
        def export(self, record: Record) -> None:
            """Export nothing."""

    monkeypatch.setattr(RemoteQueue, "run", nothing)
    queue = RemoteQueue(Silent())  # type: ignore[arg-type]
    exporter = ResilientExporter(queue, folder=None, shutdown_seconds=0.0)
    for number in (2, 3):  # the first one starts the threads
        exporter.fast_export(sanitised(END._replace(seq=number)))
    fast_export_of(Own(queue, folder=None, shutdown_seconds=0.0))(sanitised(END))
    assert len(queue.queue.finals) == 2
    exporter.shutdown()


class Failing:
    """An exporter that raises, or keeps what it gets."""

    never_waits = never_starts_spans = True

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.seen: list[Record] = []

    def export(self, record: Record) -> None:
        """Raise, or keep the record."""
        if self.error is not None:
            raise self.error
        self.seen.append(record)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing."""
        return True

    def shutdown(self) -> None:
        """Do nothing."""


def exports_of(fan_out: FanOut) -> tuple[Callable[[Record], None], Callable[[Record], None]]:
    """Return the method and the compiled one."""
    return fan_out.export, fan_out.fast_export


@pytest.mark.parametrize("error", [ValueError("no"), RecursionError(), MemoryError()], ids=repr)
def test_one_exporter_that_fails_keeps_the_record_from_no_other(error: Exception) -> None:
    """Its failure is counted, and the exporters after it get the record."""
    last = Failing()
    for export in exports_of(FanOut(Failing(error), last)):
        before = COUNTERS.value("fanout.failed")
        export(SPAN)
        assert COUNTERS.value("fanout.failed") == before + 1
    assert last.seen == [SPAN, SPAN]


def test_an_interruption_is_passed_on() -> None:
    """Ctrl-C is the program's."""
    for export in exports_of(FanOut(Failing(KeyboardInterrupt()), Failing())):
        with pytest.raises(KeyboardInterrupt):
            export(SPAN)


def test_an_export_of_ones_own_is_called() -> None:
    """A subclass that overrides `export` is not bypassed."""

    class Own(FanOut):
        def export(self, record: Record) -> None:
            """Export nothing."""

    last = Failing()
    fast_export_of(Own(last))(SPAN)
    assert last.seen == []


def test_raw_records_are_made_safe_for_the_others() -> None:
    """If one exporter needs raw records, the others get them made safe, compiled or not."""
    raw, plain = Failing(), Failing()
    raw.needs_raw_records = True  # type: ignore[attr-defined]
    record = SPAN._replace(attributes={"path": object()})
    for export in exports_of(FanOut(raw, plain)):
        export(record)
    assert raw.seen == [record, record]
    assert [type(one.attributes) for one in plain.seen] == [PlainAttributes] * 2
