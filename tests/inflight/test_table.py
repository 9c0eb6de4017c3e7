"""The table of open spans: what it contains, what it refuses, what it shows."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, cast

import pytest
from opentelemetry.trace import SpanContext, set_span_in_context

from otel_ext.inflight.table import InflightTable, open_spans, span_key
from otel_ext.runtime.counters import COUNTERS
from tests.inflight.tracking import Tracking

if TYPE_CHECKING:
    from opentelemetry.trace import Span


def test_a_span_is_in_the_table_from_its_start_to_its_end(tracking: Tracking) -> None:
    """`pop` returns the start record once, at the end."""
    span = tracking.tracer.start_span("work", attributes={"n": 1})
    assert len(tracking.table) == 1
    (start,) = tracking.table.start_records()
    assert (start.name, start.phase, dict(start.attributes)) == ("work", "start", {"n": 1})
    span.end()
    assert len(tracking.table) == 0
    assert tracking.ends[0].call_site is start.call_site
    assert tracking.ends[0].trace_id is start.trace_id


def test_the_key_contains_trace_and_span_id() -> None:
    """Two spans with the same id in different traces are two entries."""
    assert span_key(SpanContext(1, 2, is_remote=False)) == (1, 2)
    assert span_key(SpanContext(2, 2, is_remote=False)) != span_key(
        SpanContext(1, 2, is_remote=False)
    )


def test_a_full_table_refuses_counts_and_the_end_is_still_recorded() -> None:
    """Beyond the limit spans are not tracked, yet their final record is complete."""
    before = COUNTERS.value("inflight.refused")
    tracking = Tracking(InflightTable(max_spans=2))
    spans = [tracking.tracer.start_span(f"s{number}") for number in range(5)]
    assert len(tracking.table) == 2
    assert COUNTERS.value("inflight.refused") - before == 3
    for span in spans:
        span.end()
    assert [end.name for end in tracking.ends] == ["s0", "s1", "s2", "s3", "s4"]
    assert all(end.start_ns and end.trace_id for end in tracking.ends)


def test_a_limit_below_zero_is_refused_by_name() -> None:
    """The error contains the value and what to use."""
    with pytest.raises(ValueError, match=r"max_spans=-1 is negative: use 0 or more"):
        InflightTable(max_spans=-1)


class EndsItsSpan:
    """An object in a cycle, whose finalizer ends a span at any point of the program."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.me = self

    def __del__(self) -> None:
        """End the span."""
        self.span.end()


def test_finalizers_that_end_spans_do_not_disturb_a_snapshot(tracking: Tracking) -> None:
    """A garbage collection while the table is copied ends spans."""
    kept = [tracking.tracer.start_span(f"kept {number}") for number in range(2_000)]
    usual = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            EndsItsSpan(tracking.tracer.start_span("dropped"))
        gc.set_threshold(gc.get_count()[0] + 200)
        gc.enable()
        entries = list(tracking.table.entries())
    finally:
        gc.set_threshold(*usual)
        gc.enable()
    gc.collect()
    assert len(entries) >= len(kept)
    assert [end.name for end in tracking.ends] == ["dropped"] * 3


def test_the_table_keeps_no_span_alive(tracking: Tracking) -> None:
    """A span without references is collected although it is open."""
    span = tracking.tracer.start_span("dropped")
    reference = weakref.ref(span)
    del span
    gc.collect()
    assert reference() is None
    assert len(tracking.table.collected) == 1


def test_open_spans_shows_name_ids_age_owner_attributes_and_call_site(tracking: Tracking) -> None:
    """The snapshot contains all of the start record, and for how long the span is open."""
    parent = tracking.tracer.start_span("parent")
    span = tracking.tracer.start_span(
        "child", context=set_span_in_context(parent), attributes={"k": "v"}
    )
    time.sleep(0.01)
    mine = [one for one in open_spans() if one.name == "child"]
    assert len(mine) == 1
    shown = mine[0]
    context = span.get_span_context()
    assert shown.trace_id == f"{context.trace_id:032x}"
    assert shown.span_id == f"{context.span_id:016x}"
    assert shown.parent_span_id == f"{parent.get_span_context().span_id:016x}"
    assert shown.age_ns >= 10_000_000
    assert shown.thread is not None
    assert shown.thread.name == threading.current_thread().name
    assert shown.task is None
    assert shown.owner_alive
    assert dict(shown.attributes) == {"k": "v"}
    assert shown.call_site is tracking.table.start_records()[1].call_site
    assert shown.call_site.line > 0
    assert not shown.stalled
    span.end()
    parent.end()
    assert not [one for one in open_spans() if one.name in {"parent", "child"}]


def test_the_snapshot_cannot_be_changed_and_does_not_change(tracking: Tracking) -> None:
    """A snapshot does not change when attributes are set or spans end later."""
    span = tracking.tracer.start_span("frozen", attributes={"k": "v"})
    (shown,) = (one for one in open_spans() if one.name == "frozen")
    span.set_attribute("later", 1)
    span.end()
    assert dict(shown.attributes) == {"k": "v"}
    with pytest.raises(FrozenInstanceError):
        shown.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        cast("dict[str, object]", shown.attributes)["k"] = "other"


def test_a_span_in_two_tables_is_shown_once() -> None:
    """Two processors on one provider see the same spans; the snapshot shows each once."""
    first = Tracking()
    second = Tracking()
    first.provider.add_span_processor(second)
    span = first.tracer.start_span("seen twice")
    assert len(first.table) == len(second.table) == 1
    assert len([one for one in open_spans() if one.name == "seen twice"]) == 1
    span.end()


def test_the_age_is_right_for_a_span_with_a_start_time_of_its_own(tracking: Tracking) -> None:
    """A start time in the past does not make a span old: the age is measured separately."""
    span = tracking.tracer.start_span("back-dated", start_time=1)
    (shown,) = (one for one in open_spans() if one.name == "back-dated")
    assert shown.start_ns == 1
    assert 0 <= shown.age_ns < 60_000_000_000
    span.end()


def test_spans_start_and_end_on_many_threads_at_once_without_loss() -> None:
    """Eight threads at once leave an empty table and an end for each start."""
    tracking = Tracking()

    def work() -> None:
        for number in range(500):
            span = tracking.tracer.start_span("busy", attributes={"n": number})
            span.end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        open_spans()
        tracking.reaper.run()
    for thread in threads:
        thread.join()
    assert len(tracking.ends) == 4_000
    assert len(tracking.table) == 0
    assert not tracking.abandoned


def test_a_dropped_table_is_no_longer_listed() -> None:
    """A table that is gone is no longer in the registry."""
    tracking = Tracking()
    span = tracking.tracer.start_span("of a dropped table")
    reference = weakref.ref(tracking.table)
    tracking.provider.shutdown()
    del tracking, span
    gc.collect()
    assert reference() is None
    assert not [one for one in open_spans() if one.name == "of a dropped table"]
