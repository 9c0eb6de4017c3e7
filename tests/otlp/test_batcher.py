"""Grace, promotion and order: which records the batcher sends and which it drops."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters.delivery.batcher import Batcher
from otel_ext.exporters.delivery.queue import PriorityQueue, QueueLimits
from otel_ext.runtime.counters import COUNTERS
from tests.exporters import samples

if TYPE_CHECKING:
    from otel_ext.protocols import SampleDecision
    from otel_ext.record.model import Record

GRACE = 0.5


class Harness:
    """A queue with its batcher, and a clock that the test sets."""

    def __init__(self, *, grace: float = GRACE, decide: SampleDecision | None = None) -> None:
        self.queue = PriorityQueue(QueueLimits())
        self.batcher = Batcher(self.queue, grace, decide)
        self.now = 0.0

    def put(self, *records: Record) -> None:
        """Queue records and let the batcher take them."""
        for record in records:
            priority = self.queue.finals if record.phase == "end" else self.queue.provisional
            if record.phase is None:
                priority = self.queue.logs
            assert priority.put(record)
        self.batcher.take(self.now)

    def send(self, *, everything: bool = False) -> list[str]:
        """Send what is due and return the events, without process records."""
        names: list[str] = []
        while True:
            batch = self.batcher.next_finals(512)
            if not batch.items:
                batch = self.batcher.next_events(512, inf if everything else self.now)
            if not batch.items:
                return names
            names += [record.event for record in batch.records if record.kind != "process"]
            self.batcher.done(batch)

    @property
    def held(self) -> int:
        """How many records the queue counts as not sent yet."""
        queue = self.queue
        return len(queue.finals) + len(queue.provisional) + len(queue.logs)


def child(name: str, number: int, parent: int) -> Record:
    """Return the start of span `number` below span `parent`."""
    return samples.start(name, number, parent_span_id=f"{parent:016x}")


def test_a_short_span_sends_no_start() -> None:
    """A start whose end comes within the grace is dropped."""
    harness = Harness()
    harness.put(samples.start("short"))
    assert harness.send() == []
    harness.put(samples.end("short"))
    before = COUNTERS.value("remote.overtaken_starts")
    assert harness.send() == ["short.end"]
    assert len(harness.batcher) == harness.held == 0
    assert COUNTERS.value("remote.overtaken_starts") == before


def test_a_long_span_sends_its_start_when_the_grace_is_over() -> None:
    """Not before, once, and its end follows."""
    harness = Harness()
    harness.put(samples.start("long"))
    harness.now = GRACE - 0.01
    assert harness.send() == []
    harness.now = GRACE
    assert harness.send() == ["long.start"]
    assert harness.send() == []
    harness.put(samples.end("long"))
    assert harness.send() == ["long.end"]
    assert harness.held == 0


@pytest.mark.parametrize("tried", [True, False])
def test_a_start_is_dropped_when_its_end_waits_behind_it(tried: bool) -> None:
    """A start that could not be sent in time is dropped and counted when the end arrives."""
    before = COUNTERS.value("remote.overtaken_starts")
    harness = Harness()
    harness.put(samples.start("long"))
    harness.batcher.take(0.0)
    harness.now = 2 * GRACE
    if tried:
        batch = harness.batcher.next_events(512, harness.now)
        harness.batcher.put_back(batch)
    harness.put(samples.end("long"))
    assert harness.send() == ["long.end"]
    assert harness.held == 0
    assert COUNTERS.value("remote.overtaken_starts") - before == 1


def test_ancestors_of_a_sent_end_are_promoted() -> None:
    """The starts of its open ancestors are sent too, the topmost first."""
    harness = Harness()
    harness.put(samples.start("root", 1), child("middle", 2, 1), child("leaf", 3, 2))
    harness.put(child("other", 4, 1), samples.end("leaf", 3, parent_span_id=f"{2:016x}"))
    assert harness.send() == ["leaf.end", "root.start", "middle.start"]
    harness.put(samples.end("middle", 2, parent_span_id=f"{1:016x}"))
    assert harness.send() == ["middle.end"]


def test_ancestors_of_a_sent_start_are_promoted() -> None:
    """A child that came first, so that its grace ends first, makes its parents ready."""
    harness = Harness()
    harness.put(child("leaf", 3, 1))
    harness.now = 0.3
    harness.put(samples.start("root", 1))
    harness.now = GRACE
    assert harness.send() == ["root.start", "leaf.start"]


def test_ancestors_of_an_update_are_promoted() -> None:
    """Also within their grace: a record that is sent needs its parents."""
    harness = Harness()
    update = child("leaf", 3, 2)._replace(phase="update", seq=9)
    harness.put(samples.start("root", 1), child("middle", 2, 1), child("leaf", 3, 2), update)
    assert harness.send() == ["root.start", "middle.start", "leaf.update"]
    assert harness.held == 0


def test_a_log_sends_the_starts_of_its_span_and_ancestors() -> None:
    """Also within their grace; a log without a span, or in a known one, sends no start."""
    harness = Harness()
    harness.put(samples.start("root", 1), child("leaf", 2, 1), samples.start("other", 3))
    harness.put(samples.log("alone"))
    assert harness.send() == ["alone"]
    inside = samples.log("inside", trace_id=samples.TRACE, span_id=f"{2:016x}")
    harness.put(inside)
    assert harness.send() == ["inside", "root.start", "leaf.start"]
    harness.put(inside)
    assert harness.send() == ["inside"]


def test_a_log_in_a_span_that_has_ended_sends_its_end_alone() -> None:
    """A short span with a log in it sends no start, if its end is already queued."""
    harness = Harness()
    inside = samples.log("inside", trace_id=samples.TRACE, span_id=f"{1:016x}")
    harness.put(samples.start("short", 1))
    harness.put(inside, samples.end("short", 1))
    assert harness.send() == ["short.end", "inside"]
    assert len(harness.batcher) == harness.held == 0


def test_logs_of_a_span_wait_for_its_decision() -> None:
    """They are sent or dropped with it; a log without a span needs no decision."""
    decisions: dict[str, bool | None] = {f"{1:016x}": None, f"{2:016x}": None}
    harness = Harness(decide=lambda record: decisions[record.span_id])
    for number in (1, 2):
        harness.put(samples.log(f"in {number}", trace_id=samples.TRACE, span_id=f"{number:016x}"))
    harness.put(samples.log("alone"))
    assert harness.send(everything=True) == ["alone"]
    decisions.update({f"{1:016x}": True, f"{2:016x}": False})
    harness.put()
    assert harness.send() == ["in 1"]
    assert len(harness.batcher) == harness.held == 0


def test_an_update_replaces_the_start_and_the_update_before() -> None:
    """Of a span that has not ended only the newest record is sent."""
    harness = Harness()
    first = samples.start("work")
    update = first._replace(phase="update", seq=2)
    harness.put(first, update, update._replace(seq=3, extra={"stalled": True}))
    assert harness.send() == ["work.update"]
    harness.put(samples.end("work"))
    assert harness.send() == ["work.end"]
    assert harness.held == 0


def test_a_flush_ends_every_grace() -> None:
    """A flush also sends the starts of open spans."""
    harness = Harness()
    harness.put(samples.start("open"))
    assert harness.send(everything=True) == ["open.start"]


def test_the_process_is_reported_before_its_first_record() -> None:
    """Records have only the id of their process, so its facts are sent first, once."""
    harness = Harness()
    harness.put(samples.log("one"))
    harness.put(samples.log("two"))
    batch = harness.batcher.next_events(512, 0.0)
    assert [record.event for record in batch.records] == ["process.start", "one", "two"]


def test_records_wait_for_a_deferred_decision() -> None:
    """Starts and ends wait while the decision is unknown; then all or none are sent."""
    decisions: dict[str, bool | None] = {"kept": None, "dropped": None}
    harness = Harness(decide=lambda record: decisions[record.name])
    harness.put(samples.start("kept", 1), samples.start("dropped", 2))
    harness.now = 10 * GRACE
    assert harness.send() == []
    decisions.update(kept=True, dropped=False)
    harness.put()
    assert harness.send() == []
    harness.now += GRACE
    assert harness.send() == ["kept.start"]
    harness.put(samples.end("kept", 1), samples.end("dropped", 2))
    assert harness.send() == ["kept.end"]
    assert len(harness.batcher) == harness.held == 0


def test_a_decision_after_the_end_sends_the_end_alone() -> None:
    """If both have waited, the start is dropped as usual."""
    known: list[bool] = []
    harness = Harness(decide=lambda _: True if known else None)
    harness.put(samples.start("work"), samples.end("work"))
    assert harness.send(everything=True) == []
    known.append(True)
    harness.put()
    assert harness.send() == ["work.end"]


def test_a_decision_that_fails_sends_nothing() -> None:
    """If the hook raises, nothing is sent: the span may not be sampled."""

    def decide(_: Record) -> bool:
        raise samples.SpoiltError

    harness = Harness(decide=decide)
    harness.put(samples.start("work"), samples.end("work"))
    assert harness.send(everything=True) == []
    assert harness.held == 0


@given(st.data())
def test_no_tree_lacks_a_parent(data: st.DataObject) -> None:
    """For any order of starts, ends and sending: all ancestors of a sent record were sent."""
    harness = Harness()
    parents: dict[int, int] = {}
    opened: list[int] = []
    known: set[str] = set()
    coin = st.booleans()
    for number in range(1, data.draw(st.integers(1, 25)) + 1):
        parent = data.draw(st.sampled_from([0, *opened]))
        parents[number] = parent
        opened.append(number)
        harness.put(
            child(f"s{number}", number, parent) if parent else samples.start(f"s{number}", number)
        )
        for _ in range(data.draw(st.integers(0, len(opened)))):
            ended = opened.pop(data.draw(st.integers(0, len(opened) - 1)))
            above = parents[ended]
            parent_id = f"{above:016x}" if above else ""
            harness.put(samples.end(f"s{ended}", ended, parent_span_id=parent_id))
        if data.draw(coin):
            harness.now += data.draw(st.sampled_from([0.1, 0.3, 0.6]))
            known |= {name.split(".")[0] for name in harness.send()}
            for name in known:
                parent = parents[int(name[1:])]
                assert not parent or f"s{parent}" in known
    harness.send(everything=True)
    assert len(harness.batcher) == harness.held == 0
