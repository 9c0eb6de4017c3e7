"""Final records and events alternate: a load of one kind does not starve the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_ext.exporters.delivery.batcher import Batcher
from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.queue import PriorityQueue, QueueLimits
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.scheduler import BATCH_SIZE, EVENTS_INTERVAL, Scheduler
from otel_ext.protocols import SendResult
from otel_ext.runtime.worker import Worker
from tests.exporters import samples
from tests.programs import wait_until
from tests.resilient.destination import decoded

if TYPE_CHECKING:
    from otel_ext.protocols import Request
    from otel_ext.record.model import Record

PLENTY = QueueLimits(1_000_000, 10**10)
GRACE = 0.3


class Flooded(JsonLinesSender):
    """A slow sender, while the program ends as many spans as it sends."""

    def __init__(self) -> None:
        self.queue: RemoteQueue | None = None
        self.sent_at: dict[str, float] = {}
        self.batches: list[float] = []
        self.stopped = False

    def send(self, request: Request) -> SendResult:
        """Accept a batch, and queue as many final records again."""
        time.sleep(0.05)
        records = decoded(request.body, request.records)
        self.batches.append(time.monotonic())
        for record in records:
            self.sent_at.setdefault(record.event, self.batches[-1])
        if self.queue is not None and records[0].phase == "end" and not self.stopped:
            for number in range(BATCH_SIZE):
                self.queue.export(samples.end("work", number))
        return SendResult(ok=True)


def test_a_start_is_sent_during_a_flood_of_final_records() -> None:
    """A span that is open longer than its grace is sent within a few batches after that."""
    sender = Flooded()
    queue = sender.queue = RemoteQueue(
        sender, name="flooded", limits=PLENTY, grace=GRACE, worker=Worker("test-flooded")
    )
    for number in range(4 * BATCH_SIZE):
        queue.export(samples.end("work", number))
    wait_until(lambda: "work.end" in sender.sent_at, "the flood runs")
    began = time.monotonic()
    queue.export(samples.start("long", 9_999_999, time_ns=time.time_ns()))
    queue.export(samples.log("told"))
    wait_until(lambda: {"long.start", "told"} <= sender.sent_at.keys(), "both are sent", timeout=10)
    for event, due in {"long.start": began + GRACE, "told": began}.items():
        assert due <= sender.sent_at[event]
        assert sum(due <= at < sender.sent_at[event] for at in sender.batches) <= 14
    sender.stopped = True
    queue.shutdown()


def test_many_logs_do_not_delay_final_records() -> None:
    """With many records of both kinds, batches alternate."""
    queue = PriorityQueue(PLENTY)
    batcher = Batcher(queue, GRACE, None)
    scheduler = Scheduler(batcher)
    for number in range(4 * BATCH_SIZE):
        queue.finals.put(samples.end("work", number))
        queue.logs.put(samples.log("told"))
    batcher.take(0.0)
    kinds: list[bool] = []
    while (batch := scheduler.next(EVENTS_INTERVAL, everything=False)) is not None:
        kinds.append(batch.is_final)
    assert kinds == [True, False] * 4 + [False]  # the last batch has `process.start` too


def test_a_batch_has_one_signal_and_a_paused_one_delays_no_other() -> None:
    """Starts that are sent as spans are not mixed with logs, and are sent while logs fail."""
    queue = PriorityQueue(PLENTY)
    signals = ("spans", "logs")

    def signal_of(record: Record) -> str:
        if record.name == "strange":
            raise ValueError(record.name)
        return "spans" if record.kind == "span" else "logs"

    batcher = Batcher(queue, 0.0, None, signals=signals, signal_of=signal_of)
    scheduler = Scheduler(batcher, signals)
    for number in range(4 * BATCH_SIZE):
        queue.logs.put(samples.log("told" if number else "strange"))
    for number in range(3):
        queue.provisional.put(samples.start("open", number + 1))
        queue.finals.put(samples.end("done", number + 10))
    batcher.take(0.0)
    first = scheduler.next(9.0, ["spans"], everything=True)
    second = scheduler.next(9.0, ["spans"], everything=True)
    assert first is not None
    assert second is not None
    assert [record.event for record in first.records] == ["done.end"] * 3
    # Without a signal it is sent as the most important one.
    assert {record.event for record in second.records} == {"strange", "open.start"}
    assert (first.signal, second.signal) == ("spans", "spans")
    assert scheduler.next(9.0, ["spans"], everything=True) is None
    assert batcher.has_ready("logs")
    logs = scheduler.next(9.0, signals, everything=True)
    assert logs is not None
    batcher.put_back(logs)
    again = scheduler.next(9.0, signals, everything=True)
    assert again is not None
    assert again.records == logs.records


def test_the_grace_begins_at_the_time_of_the_start() -> None:
    """Not when the sending thread takes the start, since it may have been busy; within bounds."""
    queue = PriorityQueue(PLENTY)
    batcher = Batcher(queue, 0.5, None)
    batcher.take(100.0)
    now_ns = time.time_ns()
    ages = {"soon": 0.4, "now": 0.0, "in the future": -3_600.0, "long ago": 3_600.0}
    for number, (name, age) in enumerate(ages.items(), 1):
        queue.provisional.put(samples.start(name, number, time_ns=now_ns - int(age * 1e9)))
    batcher.take(101.0)  # none of these counts as older than a second
    due = {
        at: {
            record.name
            for record in batcher.next_events(BATCH_SIZE, at).records
            if record.kind == "span"
        }
        for at in (101.0, 101.2, 101.6)
    }
    # "long ago" is queued behind some that are not due yet, so it is late.
    assert due == {101.0: set(), 101.2: {"soon"}, 101.6: {"now", "in the future", "long ago"}}
