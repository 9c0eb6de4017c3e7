"""`RemoteQueue`: queues records and sends them in the background to a remote destination.

The program's threads only append to a bounded queue. Another thread makes batches of it
and gives each to the `Sender` of its signal. Final records are sent first.
"""

from __future__ import annotations

from math import inf
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext._accel import bind
from otel_ext.exporters.delivery.batcher import Batcher
from otel_ext.exporters.delivery.metrics import observe_queue, wants_metrics
from otel_ext.exporters.delivery.open_starts import OpenStarts
from otel_ext.exporters.delivery.queue import PriorityQueue, QueueLimits
from otel_ext.exporters.delivery.remote_worker import REMOTE_WORKER_NAME, remote_worker
from otel_ext.exporters.delivery.scheduler import BATCH_SIZE, Scheduler
from otel_ext.exporters.delivery.sender import make_senders
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.runtime.counters import COUNTERS, Counters
from otel_ext.runtime.deadline import STORE_SECONDS, is_exiting
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.threads import new_lock
from otel_ext.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.exporters.delivery.batcher import Batch
    from otel_ext.exporters.delivery.queue import Priority
    from otel_ext.inflight.table import InflightTable
    from otel_ext.protocols import RequestSender, SampleDecision
    from otel_ext.record.model import Record
    from otel_ext.runtime.isolated import Ticket

__all__ = ["RemoteQueue"]

# How often the thread checks what is due, in seconds.
_INTERVAL: Final = 0.25
# The maximum of batches before the thread runs its other jobs.
_ROUNDS: Final = 32
# How often a flush checks whether the queue has been shut down, in seconds.
_POLL_SECONDS: Final = 0.05
# How often it checks whether an answer has come.
_ANSWER_SECONDS: Final = 0.02
_CLOSE_SECONDS: Final = 0.5


class RemoteQueue:
    """Queues records and sends them in batches on a background thread.

    The start of a span that ends within `grace` is not sent, unless a record below it
    is: then the starts of all ancestors are sent too. Starts come from the table of open
    spans, if a processor has told its own. When the queue is full, starts are refused
    before final records.

    A batch that fails and may succeed later is retried at growing intervals; meanwhile
    the queue fills up, and records that no longer fit are dropped and counted.
    `ResilientExporter` writes them to disk instead.

    Args:
        sender: Encodes and sends the records.
        name: The name of the destination in `health()` and in messages.
        limits: How many records and bytes may wait.
        grace: Seconds that a start waits for its end.
        defer: Returns whether the records of a span may be sent, for a decision that is
            made after its start; None sends all.
        shutdown_seconds: How long `shutdown` sends what is queued.
        finals: Whether to send final records, or a function that is called for each
            batch. Made-up ends are sent in any case, as events are.
        worker: Its thread makes the batches; by default one thread for all destinations.
    """

    never_starts_spans = True
    never_waits = True
    queue: PriorityQueue
    __slots__ = ("__dict__", "__weakref__", "_fast_path")  # read at its offset
    _fast_path: tuple[Priority, Priority, int, bool] | None
    # Holds the ticket of a flush that has not begun.
    _latest_flush: Ticket | None
    # Signals of which a batch was put back in this round.
    _paused: set[str]

    def __init__(
        self,
        sender: RequestSender,
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
        self._limits = limits or QueueLimits()
        self._grace = grace
        self._defer = defer
        self._shutdown_seconds = shutdown_seconds
        self._finals = finals
        self.health = HealthCell(name, "nothing was sent yet")
        # Counts of this queue alone, by signal; for its metrics.
        self.counts = Counters()
        self._on_disk = self._closed = self._stopped = self._accepts_after_shutdown = False
        self._open_starts = OpenStarts()
        self.senders = make_senders(sender, self, name, None, RemoteSettings())
        self._reset()
        self._worker = worker or remote_worker()
        self._owns_worker = False
        self._job = self._worker.every(_INTERVAL, self.run, name)
        after_fork_in_child(self._reset)
        if wants_metrics():
            observe_queue(self)

    def configure_delivery(
        self, name: str, folder: Path | None, settings: RemoteSettings, shutdown_seconds: float
    ) -> None:
        """Keep on disk what cannot be sent, and use another thread; before the first record.

        Args:
            name: The name of the destination in the parts of `health()` and in files.
            folder: The folder of records; None keeps nothing on disk.
            settings: When the destination counts as down, and how it is retried.
            shutdown_seconds: How long `shutdown` sends what is queued.
        """
        self._job.cancel()
        self._on_disk = folder is not None
        self._shutdown_seconds = shutdown_seconds
        self.senders = make_senders(self.sender, self, name, folder, settings)
        self._worker = Worker(f"{REMOTE_WORKER_NAME} {name}")
        self._owns_worker = True
        self._job = self._worker.every(_INTERVAL, self.run, self.name)

    @property
    def is_filling(self) -> bool:
        """Whether so many records arrive, while a batch is sent, that it may soon be full."""
        return self.queue.is_filling

    def done(self, batch: Batch) -> None:
        """Free the space of a batch; called by its sender."""
        self._batcher.done(batch)

    def put_back(self, batch: Batch) -> None:
        """Take back a batch that can be neither sent nor stored now; called by its sender."""
        self._batcher.put_back(batch)
        self._paused.add(batch.signal)

    def send_only(self, wants: Callable[[Record], bool]) -> None:
        """Send only records for which `wants`, called on the user's thread, returns True."""
        self._wants = wants
        self._fast_path = None

    def learn_open_spans(self, table: InflightTable) -> None:
        """Get the starts of spans in `table` from there when they are due, and do not queue them.

        Args:
            table: The open spans of a processor that exports here; several may do so.
        """
        self._open_starts.add_table(table)
        self._choose_path()

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
        if record.phase == "start" and self._open_starts.has(record):
            return
        priority = self.queue.priority_of(record)
        if not priority.put(record):
            self._note_full(priority)
        elif self._closed:
            if priority is not self.queue.provisional:
                self._send_alone(everything=True)
        elif priority is self.queue.finals and not len(priority.items) % BATCH_SIZE:
            self._job.wake()
        if not (self._is_running and self._worker.is_alive):
            self._start_threads()

    @property
    def fast_export(self) -> Callable[[Record], None]:
        """`export`, compiled if the extension was built; it behaves as the method does."""
        return bind("bind_queue", self.export, self)

    def _start_threads(self) -> None:
        # All of them now: while the interpreter exits, none can be started.
        self._is_running = self._worker.ensure()
        if not self._closed:
            for sender in self.senders.values():
                sender.thread.ensure()
            self._choose_path()

    def _choose_path(self) -> None:
        """Let the compiled `export` serve, if its steps are the ones to take."""
        if self._is_running and self._wants is None and not self._closed:
            needs_starts = not self._open_starts.is_used
            queue = self.queue
            self._fast_path = (queue.provisional, queue.finals, BATCH_SIZE, needs_starts)

    def _note_full(self, priority: Priority) -> None:
        queue = self.queue
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
        """Send all records exported so far, or write them to disk; also starts in their grace.

        Returns:
            Whether that was done in time; `health()` shows whether they were sent.
        """
        check_process()
        began = monotonic()
        until = began + timeout_millis / 1000
        self._failed_flush = (began, inf)
        flush: Ticket | None = None
        while True:
            flush = flush or self._pending_flush()
            if flush.wait(min(until - monotonic(), _POLL_SECONDS)):
                waits = any(sender.has_batch for sender in self.senders.values())
                if flush.result is True or not waits or self._stopped:
                    self._failed_flush = (0.0, 0.0)
                    return flush.result is True
                flush = None
                sleep(_ANSWER_SECONDS)
            elif self._stopped:
                return not self._unsent
            if monotonic() >= until:
                self._failed_flush = (began, monotonic())
                return False

    def shutdown(self) -> None:
        """Send what is queued, within `shutdown_seconds`, and stop. Idempotent.

        What is not sent then goes to disk, if there is one. So do records that come later,
        while the program exits.
        """
        check_process()
        if self._closed:
            return
        self._closed = self._process_ends_due = True
        self._fast_path = None
        stays_open = self._on_disk and is_exiting()
        seconds = max(self._shutdown_seconds - self._failed_flush_seconds(), 0.0)
        for sender in self.senders.values():
            sender.send_deadline = monotonic() + seconds
        self.force_flush(int((seconds + STORE_SECONDS * self._on_disk) * 1000))
        self._job.cancel()
        self._stopped = True
        self._close()
        if self._owns_worker:
            self._worker.stop(0.0)
        self._accepts_after_shutdown = stays_open

    def _close(self) -> None:
        """Close the senders and the destination."""
        if self._busy.acquire(timeout=_CLOSE_SECONDS):
            try:
                for sender in self.senders.values():
                    sender.close()
            finally:
                self._busy.release()
        self.health.healthy("closed")
        if left := self._unsent:
            COUNTERS.add("remote.unsent_at_exit", left)
            report_problem(f"{self.name}: {left} records were not sent", "the time was up")
        # Isolated, since the sender may be the user's.
        closing = IsolatedThread(f"{self.name}: closing", stays=False)
        closing.submit(self.sender.close).succeeds_by(monotonic() + _CLOSE_SECONDS)

    @property
    def _unsent(self) -> int:
        return len(self.queue.finals) + len(self.queue.logs)

    def _failed_flush_seconds(self) -> float:
        """Return how long a flush has waited that failed just now, or is still waiting."""
        began, ended = self._failed_flush
        now = monotonic()
        return min(ended, now) - began if ended > now - 1.0 else 0.0

    def _pending_flush(self) -> Ticket:
        """Return the flush that has not begun yet, or submit one; it serves all callers."""
        flush = self._latest_flush
        if flush is None or flush.has_begun:
            flush = self._latest_flush = self._worker.submit(self._flush, is_left=True)
        return flush

    def _flush(self) -> bool:
        """Send everything, unless it is too late; return whether all was sent."""
        return not self._unsent if self._stopped else self._send_alone(everything=True)

    def run(self) -> None:
        """Send what is due, and then what waits on disk; the job of the background thread."""
        self._send_alone(everything=False)

    def _send_alone(self, *, everything: bool) -> bool:
        # Where no thread can be started, a flush runs on the thread that calls it.
        if not self._busy.acquire(blocking=False):
            return False
        try:
            is_done = self._send_due(everything=everything)
            if not everything:
                for sender in self.senders.values():
                    sender.replay()
            return is_done
        finally:
            self._busy.release()

    def _send_due(self, *, everything: bool) -> bool:
        """Send what is due; return whether nothing of it is left, nor waits for an answer."""
        batcher, senders = self._batcher, self.senders
        batcher.take(monotonic())
        self._paused = set()
        if everything and self._process_ends_due and self._accepting(is_flush=True):
            self._process_ends_due = False
            batcher.add_process_ends()
        self._scheduler.restart()
        for _ in range(_ROUNDS * 1_000 if everything else _ROUNDS):
            accepting = self._accepting(is_flush=everything)
            batch = self._scheduler.next(monotonic(), accepting, everything=everything)
            if batch is None:
                return not any(
                    sender.has_batch or (signal not in accepting and batcher.has_ready(signal))
                    for signal, sender in senders.items()
                )
            # Decided here, before any of it goes to disk, where a later run would send it.
            if batch.is_final and not self._sends_finals():
                batcher.drop_sent_elsewhere(batch)
                continue
            senders[batch.signal].send(batch, is_flush=everything)
            if not everything:  # else it might never end
                batcher.take(monotonic())
        self._job.wake()
        return False

    def _accepting(self, *, is_flush: bool) -> list[str]:
        """Return the signals whose batches can be sent or stored now."""
        senders = self.senders.items()
        accepting = [name for name, sender in senders if sender.accepts_batch(is_flush=is_flush)]
        return [signal for signal in accepting if signal not in self._paused]

    def _sends_finals(self) -> bool:
        finals = self._finals
        try:
            return finals if isinstance(finals, bool) else finals()
        except Exception as error:  # noqa: BLE001 - the function may be the user's
            report_problem(f"{self.name}: final records may be sent twice", error)
            return True

    def _reset(self) -> None:
        """Start with an empty queue; a forked child leaves its parent's records to the parent."""
        self.counts.reset()
        self.queue = PriorityQueue(self._limits)
        sender = self.sender
        self._open_starts.reset()
        rest = sender.signals, sender.signal_of, self._open_starts
        self._batcher = Batcher(self.queue, self._grace, self._defer, self._is_wanted, *rest)
        self._scheduler = Scheduler(self._batcher, sender.signals)
        for one in self.senders.values():
            one.reset()
        self._paused = set()
        self._busy = new_lock()
        self._is_running = False
        # What the compiled `export` reads; with None it calls the method here.
        self._fast_path = None
        # Start and end of the last flush that failed; infinity while one is waiting.
        self._failed_flush = (0.0, 0.0)
        self._latest_flush = None
        self._process_ends_due = False
