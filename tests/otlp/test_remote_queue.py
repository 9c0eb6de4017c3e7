"""The bounded queue: limits, deadlines, retries; with small senders in the test process."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.queue import QueueLimits, size_of
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.protocols import SendResult
from otel_ext.record.sanitise.sanitiser import PLAIN
from otel_ext.runtime.health import health
from otel_ext.runtime.worker import Worker
from tests.exporters import samples
from tests.exporters.samples import Counted
from tests.programs import wait_until
from tests.resilient.destination import decoded

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_ext.protocols import Request, RequestSender
    from otel_ext.record.model import Record


class Keeping(JsonLinesSender):
    """A sender that keeps its batches and returns the results that the test sets."""

    def __init__(self, *answers: SendResult) -> None:
        self.answers = list(answers)
        self.batches: list[list[Record]] = []
        self.times: list[float] = []
        self.closed = 0

    def send(self, request: Request) -> SendResult:
        """Keep a batch and return the next result."""
        self.times.append(time.monotonic())
        self.batches.append(decoded(request.body, request.records))
        return self.answers.pop(0) if self.answers else SendResult(ok=True)

    def close(self) -> None:
        """Count."""
        self.closed += 1

    @property
    def events(self) -> list[str]:
        """The events of all records except process records."""
        return [one.event for batch in self.batches for one in batch if one.kind != "process"]


class Stuck(Keeping):
    """A sender whose destination does not answer until the test releases it."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def send(self, request: Request) -> SendResult:
        """Wait."""
        self.released.wait(30)
        return super().send(request)


WORKERS: list[Worker] = []


@pytest.fixture(autouse=True)
def _workers() -> Generator[None, None, None]:
    """End the threads of a test's queues."""
    yield
    while WORKERS:
        assert WORKERS.pop().stop(10.0)


def queue_to(
    sender: RequestSender, limits: QueueLimits | None = None, seconds: float = 2.0
) -> RemoteQueue:
    """Return a queue with a thread of its own."""
    WORKERS.append(worker := Worker("test-remote"))
    return RemoteQueue(sender, name="test", limits=limits, worker=worker, shutdown_seconds=seconds)


def test_a_flush_sends_everything_and_a_shutdown_ends_the_process() -> None:
    """Also a start within its grace; `process.end` is the last record."""
    sender = Keeping()
    queue = queue_to(sender)
    queue.export(samples.start("open", 1))
    queue.export(samples.end("done", 2))
    assert queue.force_flush(5_000)
    assert sender.events == ["done.end", "open.start"]
    queue.shutdown()
    queue.shutdown()
    assert sender.batches[-1][-1].event == "process.end"
    assert sender.closed == 1
    counted = Counted()
    queue.export(samples.end("late", 3))
    assert counted("remote.closed") == 1


def test_a_close_that_hangs_is_left_behind(capfd: pytest.CaptureFixture[str]) -> None:
    """Shutdown returns, and the message names the destination."""
    released = threading.Event()

    class Hanging(Keeping):
        def close(self) -> None:
            released.wait(60)

    queue = queue_to(Hanging())
    began = time.monotonic()
    queue.shutdown()
    assert time.monotonic() - began < 30
    assert "test: closing" in capfd.readouterr().err
    released.set()


def test_starts_are_shed_before_ends_are_lost() -> None:
    """Starts fill only their own limit, so every end is accepted."""
    sender = Stuck()
    queue = queue_to(sender, QueueLimits(records=100, size=10**9))
    counted = Counted()
    for number in range(1, 1_001):
        queue.export(samples.start("open", number))
    for number in range(2_001, 2_101):
        queue.export(samples.end("done", number))
    assert counted("remote.full_finals") == 0
    assert counted("remote.shed_starts") == 950
    queue.export(samples.end("one too many", 3_000))
    assert counted("remote.full_finals") == 1
    sender.released.set()
    assert queue.force_flush(10_000)
    assert sender.events.count("done.end") == 100
    queue.shutdown()


def test_bytes_are_bounded_as_well() -> None:
    """A few large records fill the queue as many small ones do."""
    sender = Stuck()
    big = samples.end("big", 1, attributes={"text": "x" * 100_000, "deep": [["y" * 100_000]]})
    size = size_of(PLAIN.sanitise(big))
    queue = queue_to(sender, QueueLimits(records=10_000, size=10 * size))
    counted = Counted()
    for number in range(1, 31):
        queue.export(samples.end("big", number, attributes=big.attributes))
    assert counted("remote.full_finals") == 20
    sender.released.set()
    assert queue.force_flush(10_000)
    assert sender.events.count("big.end") == 10
    assert max(len(batch) for batch in sender.batches) <= 10
    # All space is free again.
    counted = Counted()
    for number in range(1, 11):
        queue.export(samples.end("big", number, attributes=big.attributes))
    assert counted("remote.full_finals") == 0
    queue.shutdown()


def test_the_limits_hold_with_many_threads() -> None:
    """Threads that put at once neither lose nor gain space for good."""
    sender = Keeping()
    queue = queue_to(sender, QueueLimits(records=64, size=10**9))
    counted = Counted()

    def put() -> None:
        for number in range(1, 2_001):
            queue.export(samples.end("done", number))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.force_flush(10_000)
    assert len(sender.events) + counted("remote.full_finals") == 8_000
    finals = queue.queue.finals
    assert (len(finals), finals.size, finals.held_size) == (0, 0, 0)
    queue.shutdown()


def test_a_temporary_failure_is_retried() -> None:
    """The batch is kept; meanwhile health shows the destination as failed, then as healthy."""
    sender = Keeping(*[SendResult(ok=False, retry=True, message="down")] * 2)
    queue = queue_to(sender)
    queue.export(samples.end("done", 1))
    wait_until(lambda: sender.batches, "the first try")
    assert not queue.force_flush(5_000)
    part = health().part("test")
    assert part is not None
    assert part.state == "failed"
    assert "down" in part.detail
    wait_until(lambda: len(sender.batches) > 2, "the third try")
    assert queue.force_flush(5_000)
    assert sender.events == ["done.end"] * 3
    part = health().part("test")
    assert part is not None
    assert part.state == "healthy"
    queue.shutdown()


def test_retry_after_is_respected() -> None:
    """Nothing is sent before that time, which health shows."""
    details: list[str] = []

    class Looking(Keeping):
        def send(self, request: Request) -> SendResult:
            part = health().part("test")
            details.append("" if part is None else part.detail)
            return super().send(request)

    sender = Looking(SendResult(ok=False, retry=True, retry_after=1.5))
    queue = queue_to(sender)
    queue.export(samples.end("done", 1))
    queue.force_flush(5_000)
    wait_until(lambda: len(sender.batches) > 1, "the second try")
    assert sender.times[1] - sender.times[0] >= 1.5
    # A stall between the answer and the message makes the time shorter.
    assert re.search(r"tried again (in [01]\.\d s|soon)", details[1])
    queue.shutdown()


def test_what_is_refused_for_good_is_counted_and_given_up() -> None:
    """A refused batch, or a refused record of a batch, does not delay later ones."""
    refused = SendResult(ok=False, message="no such tenant")
    sender = Keeping(refused, SendResult(ok=True, rejected=1, message="too old"))
    queue = queue_to(sender)
    counted = Counted()
    queue.export(samples.end("done", 1))
    wait_until(lambda: sender.batches, "the first batch")
    assert queue.force_flush(5_000)
    assert counted("remote.refused") == 2  # the end, and one event of the second batch
    assert not queue.queue.finals.held
    queue.shutdown()


def test_a_sender_that_raises_does_not_stop_the_queue() -> None:
    """Its batch is lost and counted; the next one is sent."""

    class Raising(Keeping):
        def send(self, request: Request) -> SendResult:
            super().send(request)
            raise samples.SpoiltError

    sender = Raising()
    queue = queue_to(sender)
    for number in (1, 2):
        queue.export(samples.end("done", number))
        queue.force_flush(5_000)
    assert sender.events == ["done.end", "done.end"]
    queue.shutdown()


def test_a_flush_ends_in_time_whatever_the_destination_does() -> None:
    """It returns False at its deadline, and a shutdown right after it does not wait again."""
    sender = Stuck()
    queue = queue_to(sender, seconds=1.0)
    queue.export(samples.end("done", 1))
    began = time.monotonic()
    assert not queue.force_flush(1_000)
    queue.shutdown()
    assert 0.9 < time.monotonic() - began < 10
    sender.released.set()


def test_a_flush_after_a_shutdown_returns_at_once() -> None:
    """Nothing is sent any more, so it does not wait; it returns whether all was sent."""
    queue = queue_to(Keeping())
    queue.export(samples.end("done", 1))
    queue.shutdown()
    began = time.monotonic()
    assert queue.force_flush(20_000)
    refusing = queue_to(Keeping(*[SendResult(ok=False, retry=True)] * 99), seconds=0.1)
    refusing.export(samples.end("done", 1))
    refusing.shutdown()
    assert not refusing.force_flush(20_000)
    assert time.monotonic() - began < 10


def test_a_shutdown_ends_waiting_flushes() -> None:
    """Threads that flush while another shuts down are not left waiting."""
    queue = queue_to(Keeping(), seconds=0.2)
    stop = threading.Event()

    def flush_on() -> None:
        while not stop.is_set():
            queue.force_flush(20_000)

    threads = [threading.Thread(target=flush_on) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    queue.shutdown()
    stop.set()
    for thread in threads:
        thread.join(15)
    assert time.monotonic() - began < 10


def test_a_shutdown_ends_a_flush_whose_destination_hangs() -> None:
    """The flush does not wait for its own, longer timeout."""
    sender = Stuck()
    queue = queue_to(sender, seconds=0.1)
    queue.export(samples.end("done", 1))
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(queue.force_flush(60_000)))
    thread.start()
    began = time.monotonic()
    queue.shutdown()
    thread.join(15)
    assert flushed == [False]
    assert time.monotonic() - began < 10
    sender.released.set()


def test_spans_are_exported_without_waiting() -> None:
    """With a destination that hangs, a record costs the program no time."""
    sender = Stuck()
    queue = queue_to(sender, seconds=0.1)
    queue.export(samples.end("done", 1))
    time.sleep(1.2)  # the thread hangs in the first batch
    began = time.monotonic()
    for number in range(2, 2_002):
        queue.export(samples.end("done", number))
    assert time.monotonic() - began < 10
    queue.shutdown()
    sender.released.set()


def test_flushes_that_wait_together_are_one() -> None:
    """Many callers of a destination that hangs cost it, and others on its thread, two flushes."""
    sender = Stuck()
    queue = queue_to(sender)
    queue.export(samples.end("done", 1))
    assert not queue.force_flush(10)
    for _ in range(50):
        assert not queue.force_flush(1)
    assert WORKERS[-1].queued <= 1
    sender.released.set()
    assert queue.force_flush(20_000)
    queue.shutdown()
