"""`RemoteQueue`: queues records and sends them in the background to a remote destination.

All remote destinations share one background thread. The program's threads only append
to a bounded queue. Final records are sent first.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.batcher import Batcher
from otel_ext.exporters.delivery.metrics import observe_queue, wants_metrics
from otel_ext.exporters.delivery.queue import PriorityQueue, QueueLimits
from otel_ext.exporters.delivery.scheduler import BATCH_SIZE, Scheduler, backoffs_for
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS, Counters
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.threads import new_lock
from otel_ext.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.exporters.delivery.batcher import Batch
    from otel_ext.exporters.delivery.queue import Priority
    from otel_ext.protocols import RecordSender, SampleDecision
    from otel_ext.record.model import Record
    from otel_ext.runtime.backoff import Backoff
    from otel_ext.runtime.isolated import Ticket

__all__ = ["REMOTE_WORKER_NAME", "RemoteQueue", "remote_worker"]

REMOTE_WORKER_NAME: Final = "otel-ext-remote"

# How often the thread checks what is due, in seconds.
_INTERVAL: Final = 0.25
# The maximum of batches before the thread runs its other jobs.
_ROUNDS: Final = 32
# How often a flush checks whether the queue has been shut down, in seconds.
_POLL_SECONDS: Final = 0.05


class RemoteQueue:
    """Queues records and sends them in batches on a background thread.

    The start of a span that ends within `grace` is not sent, unless a record below it
    is: then the starts of all ancestors are sent too. When the queue is full, starts
    are refused before final records.

    A batch that fails and may succeed later is retried at growing intervals; meanwhile
    the queue fills up, and records that no longer fit are dropped and counted.

    Args:
        sender: Sends a batch.
        name: The name of the destination in `health()` and in messages.
        limits: How many records and bytes may wait.
        grace: Seconds that a start waits for its end.
        defer: Returns whether the records of a span may be sent, for a decision that is
            made after its start; None sends all.
        shutdown_seconds: How long `shutdown` sends what is queued.
        finals: Whether to send final records, or a function that is called for each
            batch. Made-up ends are sent in any case, as events are.
        worker: Its thread sends; by default one thread for all destinations.
    """

    never_starts_spans = True
    never_waits = True
    _pending: list[Ticket]

    def __init__(
        self,
        sender: RecordSender,
        *,
        name: str = "remote",
        limits: QueueLimits | None = None,
        grace: float = OtlpSettings.grace,
        defer: SampleDecision | None = None,
        shutdown_seconds: float = OtlpSettings.exit_timeout,
        finals: bool | Callable[[], bool] = True,
        worker: Worker | None = None,
    ) -> None:
        self.name = name
        self.sender = sender
        # Returns whether to send a record; None sends all.
        self._wants: Callable[[Record], bool] | None = None
        self._reports_refusals = True
        self._limits = limits or QueueLimits()
        self._grace = grace
        self._defer = defer
        self._shutdown_seconds = shutdown_seconds
        self._finals = finals
        self._health = HealthCell(name, "nothing was sent yet")
        self._closed = False
        self._stopped = False
        self._accepts_after_shutdown = False
        # Counts of this queue alone, by signal; for its metrics.
        self.counts = Counters()
        self._reset()
        self._worker = worker or remote_worker()
        self._job = self._worker.every(_INTERVAL, self.run, name)
        after_fork_in_child(self._reset)

        if wants_metrics():
            observe_queue(self)

    @property
    def queue(self) -> PriorityQueue:
        """The waiting records; for metrics and tests."""
        return self._queue

    @property
    def is_filling(self) -> bool:
        """Whether so many records arrive, while a batch is sent, that it may soon be full."""
        return self._queue.is_filling

    def replace_sender(self, sender: RecordSender, worker: Worker) -> None:
        """Use another sender and another thread; call it before the first record.

        Args:
            sender: A wrapper of the current one; it reports refused records itself.
            worker: Its thread sends.
        """
        self._job.cancel()
        self.sender = sender
        self._reports_refusals = False
        self._backoffs = backoffs_for(sender)
        self._worker = worker
        self._job = worker.every(_INTERVAL, self.run, self.name)

    def send_only(self, wants: Callable[[Record], bool]) -> None:
        """Send only records for which `wants`, called on the user's thread, returns True."""
        self._wants = wants

    def _is_wanted(self, record: Record) -> bool:
        wants = self._wants
        return wants is None or wants(record)

    def export(self, record: Record) -> None:
        """Queue one record; called on the user's thread."""
        check_process()
        if self._closed and not self._accepts_after_shutdown:
            COUNTERS.add("remote.closed")
            return
        if self._wants is not None and not self._wants(record):
            COUNTERS.add("remote.not_wanted")
            return
        priority = self._queue.priority_of(record)
        if not priority.put(record):
            self._note_full(priority)
        elif self._closed:
            if priority is not self._queue.provisional:
                self._send_alone(everything=True)
        elif priority is self._queue.finals and not len(priority.items) % BATCH_SIZE:
            self._job.wake()
        if not self._worker.is_alive:
            self._worker.ensure()

    def accept_after_shutdown(self) -> None:
        """Accept records after the shutdown too, and send them on the thread that exports them.

        For a sender that only writes them to disk for the next program.
        """
        self._accepts_after_shutdown = True

    def _note_full(self, priority: Priority) -> None:
        queue = self._queue
        self.counts.add("span.queue_full" if priority is queue.finals else "log.queue_full")
        if priority is queue.provisional:
            COUNTERS.add("remote.shed_starts")
            return
        COUNTERS.add("remote.full_finals" if priority is queue.finals else "remote.full_logs")
        report_problem(
            f"{self.name}: records are lost",
            "the queue is full, since the destination takes them too slowly or not at all;"
            " a longer queue lasts longer",
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send all records exported so far, including starts within their grace.

        Returns:
            Whether that was done in time.
        """
        check_process()
        began = monotonic()
        self._failed_flush = (began, inf)
        flush = self._pending_flush()
        until = began + timeout_millis / 1000
        while not flush.wait(min(until - monotonic(), _POLL_SECONDS)):
            if self._stopped:
                return not self._unsent
            if monotonic() >= until:
                self._failed_flush = (began, monotonic())
                return False
        self._failed_flush = (0.0, 0.0)
        return flush.result is True

    def shutdown(self) -> None:
        """Send what is queued, within `shutdown_seconds`, and stop. Idempotent."""
        check_process()
        if self._closed:
            return
        self._closed = True
        self._process_ends_due = True
        left_seconds = self._shutdown_seconds - self._failed_flush_seconds()
        self.force_flush(int(max(left_seconds, 0.0) * 1000))
        self._job.cancel()
        self._stopped = True
        left = self._unsent
        if left:
            COUNTERS.add("remote.unsent_at_exit", left)
            report_problem(f"{self.name}: {left} records were not sent", "the time was up")
        try:
            self.sender.close()
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            report_problem(f"{self.name}: closing failed", error)

    @property
    def _unsent(self) -> int:
        return len(self._queue.finals) + len(self._queue.logs)

    def _failed_flush_seconds(self) -> float:
        """Return how long a flush has waited that failed just now, or is still waiting."""
        began, ended = self._failed_flush
        now = monotonic()
        return min(ended, now) - began if ended > now - 1.0 else 0.0

    def run(self) -> None:
        """Send what is due; the job of the background thread."""
        self._send_alone(everything=False)

    def _pending_flush(self) -> Ticket:
        """Return the flush that has not begun yet, or submit one; it serves all callers."""
        pending = self._pending
        if pending:
            return pending[0]
        mine: list[Ticket] = []
        self._pending = mine
        ticket = self._worker.submit(self._flush, mine, is_left=True)
        mine.append(ticket)
        return ticket

    def _flush(self, pending: list[Ticket]) -> bool:
        """Send everything, unless it is too late; return whether all was sent."""
        if self._pending is pending:
            self._pending = []
        return not self._unsent if self._stopped else self._send_alone(everything=True)

    def _send_alone(self, *, everything: bool) -> bool:
        # Where no thread can be started, a flush runs on the thread that calls it.
        if not self._busy.acquire(blocking=False):
            return False
        try:
            return self._send_due(everything=everything)
        finally:
            self._busy.release()

    def _send_due(self, *, everything: bool) -> bool:
        """Send what is due; whether all of it was sent."""
        batcher = self._batcher
        batcher.take(monotonic())
        now = monotonic()
        paused = {
            is_final
            for is_final, backoff in self._backoffs.items()
            if not backoff.allows(now, is_flush=everything)
        }
        if len(paused) == len(self._backoffs):
            return False
        if everything and self._process_ends_due:
            self._process_ends_due = False
            batcher.add_process_ends()
        return self._send_batches(batcher, paused, everything=everything)

    def _send_batches(self, batcher: Batcher, paused: set[bool], *, everything: bool) -> bool:
        """Send batches, except of the kinds in `paused`; a kind that fails is added to it."""
        self._scheduler.restart()
        for _ in range(_ROUNDS * 1_000 if everything else _ROUNDS):
            batch = self._scheduler.next(monotonic(), everything=everything, paused=paused)
            if batch is None:
                return not any(batcher.has_ready(is_final=kind) for kind in paused)
            # Decided here, before any of it goes to disk, where a later run would send it.
            if batch.is_final and not self._sends_finals():
                batcher.drop_sent_elsewhere(batch)
                continue
            if not self._send(batch):
                failed = self._backoffs[batch.is_final]
                paused |= {kind for kind, one in self._backoffs.items() if one is failed}
                if len(paused) == len(self._backoffs):
                    return False
            if not everything:  # else it might never end
                batcher.take(monotonic())
        self._job.wake()
        return True

    def _sends_finals(self) -> bool:
        finals = self._finals
        try:
            return finals if isinstance(finals, bool) else finals()
        except Exception as error:  # noqa: BLE001 - the function may be the user's
            report_problem(f"{self.name}: final records may be sent twice", error)
            return True

    def _send(self, batch: Batch) -> bool:
        """Send one batch; False if it must be retried."""
        batcher = self._batcher
        try:
            result = self.sender.send(batch.records)
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            report_problem(f"{self.name}: a batch is lost", error)
            result = SendResult(ok=False, message=f"{type(error).__name__}: {error}")
        if not result.ok and result.retry:
            batcher.put_back(batch)
            self._back_off(result, self._backoffs[batch.is_final])
            return False
        batcher.done(batch)
        count = len(batch.items)
        signal = "span" if batch.is_final else "log"
        if not result.ok:
            self.counts.add(f"{signal}.rejected", count)
            COUNTERS.add("remote.refused", count)
            self._health.degraded(f"{count} records were refused: {result.message}")
            report_problem(f"{self.name}: {count} records are lost", result.message)
            return True
        self._backoffs[batch.is_final].reset()
        self.counts.add(signal, max(count - result.kept - result.rejected, 0))
        self.counts.add(f"{signal}.rejected", result.rejected)
        self._note_sent(count, result, is_final=batch.is_final)
        return True

    def _note_sent(self, count: int, result: SendResult, *, is_final: bool) -> None:
        count -= result.kept
        COUNTERS.add("remote.sent_finals" if is_final else "remote.sent_events", count)
        if result.kept:
            COUNTERS.add("remote.kept", result.kept)
            self._health.degraded(f"records are kept to be sent later: {result.message}")
            return
        if not result.rejected:
            self._health.healthy("records are sent")
            return
        COUNTERS.add("remote.refused", result.rejected)
        self._health.degraded(f"{result.rejected} records were refused: {result.message}")
        if self._reports_refusals:
            report_problem(f"{self.name}: records were refused", result.message)

    def _back_off(self, result: SendResult, backoff: Backoff) -> None:
        COUNTERS.add("remote.retries")
        seconds = backoff.failed(monotonic(), retry_after=result.retry_after)
        self._health.failed(f"not sent, and tried again in {seconds:.1f} s: {result.message}")
        report_problem(f"{self.name}: nothing can be sent for now", result.message)

    def _reset(self) -> None:
        """Start with an empty queue; a forked child leaves its parent's records to the parent."""
        self.counts.reset()
        self._queue = PriorityQueue(self._limits)
        self._batcher = Batcher(self._queue, self._grace, self._defer, self._is_wanted)
        self._scheduler = Scheduler(self._batcher)
        self._busy = new_lock()
        self._backoffs = backoffs_for(self.sender)
        # Start and end of the last flush that failed; infinity while one is waiting.
        self._failed_flush = (0.0, 0.0)
        # Holds the ticket of a flush that has not begun.
        self._pending = []
        self._process_ends_due = False


_shared: Final[dict[str, Worker]] = {}


def remote_worker() -> Worker:
    """Return the worker whose thread sends to all remote destinations.

    >>> remote_worker() is remote_worker()
    True
    """
    found = _shared.get("worker")
    return found if found is not None else _shared.setdefault("worker", Worker(REMOTE_WORKER_NAME))
