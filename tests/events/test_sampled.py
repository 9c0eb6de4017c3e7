"""`SampledEvents` within one process: records, keys, rates, limits and wrong use."""

from __future__ import annotations

import gc
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from otel_ext.context import with_span
from otel_ext.events import SampledEvents, aggregates, batch_writer, subscribe
from otel_ext.inflight.origin import NOWHERE
from otel_ext.runtime.counters import COUNTERS
from tests.events.heard import Heard
from tests.programs import in_child, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.record.model import Record
    from otel_ext.testing import RecordCapture

# No timer ends it within a test.
LONG = 3_600.0


def events_of(records: RecordCapture) -> list[Record]:
    """Return the event records so far."""
    return [record for record in list(records.records) if record.kind == "event"]


def test_one_record_stands_for_all_events_of_a_window(records: RecordCapture) -> None:
    """It has the sums, and the metadata, span and call site of the first event."""
    events = SampledEvents(window=LONG)
    with with_span("work") as span:
        for size in (3, 1.5, 7):
            events.emit("cache.miss", {"size": size}, {"first": size})  # the call site
        assert events_of(records) == []
        events.flush()
    (record,) = events_of(records)
    found = dict(record.attributes)
    assert 0 <= float(str(found.pop("window_seconds"))) < LONG
    assert found == {
        "size.count": 3,
        "size.sum": 11.5,
        "size.min": 1.5,
        "size.max": 7,
        "size.last": 7,
        "suppressed": 2,
        "first": 3,
    }
    context = span.get_span_context()
    assert (record.trace_id, record.span_id) == (
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
    )
    assert record.call_site.file.endswith("test_sampled.py")
    assert record.call_site.function == test_one_record_stands_for_all_events_of_a_window.__name__
    events.flush()
    assert len(events_of(records)) == 1


def test_the_timer_ends_a_window(records: RecordCapture) -> None:
    """Without a flush the record comes by itself, also for one event without numbers."""
    events = SampledEvents(window=0.01)
    events.emit("cache.full")
    wait_until(lambda: events_of(records), "a record by the timer")
    assert events_of(records)[0].attributes["suppressed"] == 0
    events.emit("cache.full")
    wait_until(lambda: len(events_of(records)) == 2, "the next window")
    events.close()


def test_events_are_merged_by_name_and_keys(records: RecordCapture) -> None:
    """Other metadata do not matter; a missing key is a value of its own."""
    with SampledEvents(window=LONG, keys=["cache", "hit"]) as events:
        for number in range(8):
            events.emit("get", {"n": number}, {"cache": "ab"[number % 2], "hit": number < 4})
            events.emit("put", {"n": 1}, {"cache": ["a", 1.5], "order": number})
        events.emit("put", {"n": 1})
    found = [(record.name, record.attributes["n.sum"]) for record in events_of(records)]
    assert found == [("get", 2), ("put", 8), ("get", 4), ("get", 10), ("get", 12), ("put", 1)]


def test_subscribers_hear_the_sums(records: RecordCapture) -> None:
    """A subscriber gets one event for each record."""
    heard = Heard()
    with subscribe("cache.*", heard, inline=True), SampledEvents(window=LONG) as events:
        for _ in range(5):
            events.emit("cache.miss", {"size": 2}, {"cache": "pages"})
        assert heard.names == []
    (event,) = heard.events
    assert event.measurements["size.sum"] == 10
    assert event.metadata == {"cache": "pages"}
    assert len(events_of(records)) == 1


def test_names_beyond_the_limit_share_one_record(records: RecordCapture) -> None:
    """Nothing is lost from the sums, and memory is bounded."""
    with SampledEvents(window=LONG, max_names=3) as events:
        for number in range(100):
            events.emit(f"name {number}", {"n": 1}, {"number": number})
    found = {record.name: record.attributes for record in events_of(records)}
    assert list(found) == ["name 0", "name 1", "name 2", aggregates.OTHER]
    assert found[aggregates.OTHER]["n.count"] == 97
    assert found[aggregates.OTHER]["suppressed"] == 96
    assert "number" not in found[aggregates.OTHER]


def test_an_event_has_a_limit_of_measurements(
    records: RecordCapture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Names beyond it are left out, counted and reported."""
    left_out = "sampled_events.measurements_left_out"
    before = COUNTERS.value(left_out)
    with SampledEvents(window=LONG) as events:
        for number in range(100):
            events.emit("many", {f"n{number}": number, "all": 1})
    (record,) = events_of(records)
    assert record.attributes["all.count"] == 100
    assert sum(name.endswith(".sum") for name in record.attributes) == 64
    assert COUNTERS.value(left_out) - before == 37
    assert "too many measurements" in capfd.readouterr().err


def in_trace(trace_id: int) -> NonRecordingSpan:
    """Return a span of that trace."""
    return NonRecordingSpan(SpanContext(trace_id, 1, is_remote=True))


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_trace_keeps_all_or_none(records: RecordCapture, rate: float) -> None:
    """The same traces are kept as by the SDK's sampler with that ratio."""
    sampler, make = TraceIdRatioBased(rate), RandomIdGenerator()
    trace_ids = [make.generate_trace_id() for _ in range(300)] + [2**64 - 1, 2**64, 2**128 - 1]
    kept = {
        trace_id
        for trace_id in trace_ids
        if sampler.should_sample(None, trace_id, "").decision is Decision.RECORD_AND_SAMPLE
    }
    with SampledEvents(window=LONG, keys=["trace"], rates={"cache.*": rate}) as events:
        for trace_id in trace_ids * 2:
            with use_span(in_trace(trace_id)):
                events.emit("cache.miss", metadata={"trace": f"{trace_id:x}"})
    found = {str(record.attributes["trace"]): record for record in events_of(records)}
    assert set(found) == {f"{trace_id:x}" for trace_id in kept}
    assert {record.attributes["suppressed"] for record in found.values()} <= {1}
    assert all(record.attributes.get("sample_rate", 1.0) == rate for record in found.values())


@pytest.mark.parametrize(("rate", "kept"), [(0, 0), (0.001, 1), (0.25, 250), (0.3, 300), (1, 1000)])
def test_without_a_trace_every_nth_event_is_kept(
    records: RecordCapture, rate: float, kept: int
) -> None:
    """The first one is; the most exact pattern counts, and other names are not concerned."""
    rates = {"*": 0.5, "cache.*": 0, "cache.m*": rate, "queue.full": 1}
    assert not trace.get_current_span().get_span_context().is_valid
    with SampledEvents(window=LONG, rates=rates) as events:
        for _ in range(1_000):
            for name in ("cache.miss", "cache.full", "queue.full", "queue.empty"):
                events.emit(name)
    counts = {
        record.name: int(str(record.attributes["suppressed"])) + 1 for record in events_of(records)
    }
    expected = {"queue.full": 1_000, "queue.empty": 500, **({"cache.miss": kept} if kept else {})}
    assert counts == expected


def test_a_sum_beyond_all_numbers_is_left_out(records: RecordCapture) -> None:
    """The other figures stay."""
    with SampledEvents(window=LONG) as events:
        for _ in range(2):
            events.emit("huge", {"n": 1.7e308})
    (record,) = events_of(records)
    assert "n.sum" not in record.attributes
    assert record.attributes["n.max"] == 1.7e308


def test_what_the_program_changes_later_is_not_recorded(records: RecordCapture) -> None:
    """Measurements and metadata are those of the call."""
    sizes, tags = {"n": 1.0}, ["a"]
    metadata = {"tags": tags, "by": "ann"}
    with SampledEvents(window=LONG) as events:
        events.emit("get", sizes, metadata)
        sizes["n"] = 5.0
        metadata["by"] = "eve"
        tags.append("b")
    (record,) = events_of(records)
    assert (record.attributes["tags"], record.attributes["by"]) == (["a"], "ann")
    assert record.attributes["n.sum"] == 1.0


def test_an_object_that_is_dropped_still_writes(records: RecordCapture) -> None:
    """Its events come by the timer, and nothing of it stays."""
    before = set(batch_writer._writers)  # noqa: SLF001
    events = SampledEvents(window=0.05)
    events.emit("last words", {"n": 1})
    del events
    gc.collect()
    wait_until(lambda: events_of(records), "the record of a dropped object")
    wait_until(lambda: batch_writer._writers.keys() <= before, "its writer is forgotten")  # noqa: SLF001


def test_a_flush_of_the_provider_writes_what_waits(records: RecordCapture) -> None:
    """So does its shutdown."""
    events = SampledEvents(window=LONG)
    provider = trace.get_tracer_provider()
    for count, write in enumerate(("force_flush", "shutdown"), 1):
        events.emit("cache.miss")
        getattr(provider, write)()
        assert len(events_of(records)) == count
    events.close()


def test_a_signal_handler_may_emit_in_the_middle_of_an_emit(records: RecordCapture) -> None:
    """No event is lost, and nothing waits for itself."""
    events = SampledEvents(window=LONG)
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        events.emit("get", {"n": 1})
        if handled % 7 == 0:
            events.flush()
        # Here, not as an interval: signals must not come faster than they are handled.
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    emitted = 0
    try:
        while handled < 300:
            events.emit("get", {"n": 1})
            emitted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    events.close()
    events.close()
    found = sum(int(str(record.attributes["n.count"])) for record in events_of(records))
    assert found == emitted + handled


class Interrupting(aggregates.Aggregate):
    """An aggregate in whose middle the same thread emits, as a finalizer might."""

    __slots__ = ("again",)

    again: Callable[[], object]

    def add(self, values: aggregates.Values) -> int:
        """Add an event, and emit others before that."""
        again, self.again = self.again, lambda: None
        again()
        return super().add(values)


def test_an_event_in_the_middle_of_another_is_kept_up_to_a_limit() -> None:
    """Those that cannot be summed up at once are, with the window; further ones are counted."""
    kept = aggregates.Aggregates(10)

    def make() -> Interrupting:
        made = Interrupting("get", {}, NOWHERE)
        made.again = lambda: None
        return made

    def again() -> None:
        assert kept.take().aggregates == []
        for _ in range(1_005):
            assert not kept.add("key", ())
            kept.add_first("key", (), make)

    first = make()
    first.again = again
    kept.add_first("key", (), lambda: first)
    window = kept.take()
    assert [one.emits for one in window.aggregates] == [1_001]
    assert window.lost == 5
    assert kept.take().aggregates == []


def test_a_lock_that_stays_held_stops_the_events_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a Ctrl-C between two steps: an event waits in the list, and the next take heals."""
    monkeypatch.setattr(aggregates, "_TAKE_WAIT", 0.01)
    kept = aggregates.Aggregates(10)
    holder = threading.Thread(target=kept._lock.acquire)  # noqa: SLF001
    holder.start()
    holder.join()
    kept.add_first("key", (), lambda: aggregates.Aggregate("get", {}, NOWHERE))
    assert kept.take().aggregates == []
    assert [one.emits for one in kept.take().aggregates] == [1]
    # The same in the middle of an event.
    kept._busy = True  # noqa: SLF001
    holder = threading.Thread(target=kept._lock.acquire)  # noqa: SLF001
    holder.start()
    holder.join()
    assert kept.take().aggregates == []
    assert not kept.add("key", ())
    kept.add_first("key", (), lambda: aggregates.Aggregate("get", {}, NOWHERE))
    assert kept.add("key", ())
    assert [one.emits for one in kept.take().aggregates] == [2]


@pytest.mark.forks
def test_a_forked_child_has_only_its_own_events(records: RecordCapture) -> None:
    """Also if the fork comes in the middle of an event, whose lock no thread holds there."""
    events = SampledEvents(window=LONG)
    events.emit("get", {"n": 1})
    held = events._aggregates._lock  # noqa: SLF001

    def run() -> str:
        events.emit("get", {"n": 10})
        events.flush()
        return str([record.attributes["n.sum"] for record in events_of(records)])

    other = threading.Thread(target=held.acquire)
    other.start()
    other.join()
    assert in_child(run) == "[10]"
    events._aggregates._lock = threading.RLock()  # noqa: SLF001
    events.close()
    assert [record.attributes["n.sum"] for record in events_of(records)] == [1]
