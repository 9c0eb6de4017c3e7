"""`ResilientSender`: sends through a circuit breaker, and to disk what cannot be sent now.

::

    send(batch) ── circuit open, or a request hangs ─────────────► disk
        │ else                                                      │
        ▼                                                           │ replay, a batch
    a thread of its own ─► destination ── failed, no answer ─► disk │ at a time
        ▲                       └── refused: halved ─► dead letter  │
        └───────────────────────────────────────────────────────────┘

Everything except the request itself runs on the queue's thread.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.sending.breaker import CircuitBreaker
from otel_ext.exporters.delivery.sending.in_flight import InFlightRequest
from otel_ext.exporters.delivery.sending.send_thread import SendThread
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_ext.exporters.delivery.persistent.lines import Chunk
    from otel_ext.exporters.delivery.persistent.store import RecordStore
    from otel_ext.exporters.delivery.sending.breaker import CircuitState
    from otel_ext.exporters.delivery.sending.splitting import Delivery
    from otel_ext.exporters.delivery.settings import RemoteSettings
    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record
    from otel_ext.runtime.counters import Counters

__all__ = ["ResilientSender"]

# Seconds to wait for an answer; then later batches go to disk. If the queue fills up
# meanwhile, as in a busy program, the wait ends sooner.
_TIMEOUT: Final = 1.0
_POLL_SECONDS: Final = 0.05
# How long one replay may delay the queue, in seconds.
_REPLAY_SECONDS: Final = 0.3
_LAST_WAIT: Final = 0.5
# If all of a smaller batch is refused, that may be due to its records.
_MIN_CONCLUSIVE: Final = 16
_NEVER: Final = float("inf")


class ResilientSender:
    """Sends to one destination, and keeps on disk what it does not accept now.

    Delivery is at least once: records that may arrive twice are counted under
    `remote.maybe_twice`.

    Args:
        inner: The destination.
        name: Its name in `health()`, in messages and in file names.
        store: Keeps records on disk.
        settings: When the destination counts as down, and how it is retried.
        queue_is_filling: Returns whether the queue needs its thread back.
        counts: Counts the outcome of records that are no longer in the queue.
    """

    _breaker: CircuitBreaker
    _request: InFlightRequest | None
    # At most one batch, which neither the destination nor the disk has accepted.
    _unstored: list[Record]
    # How many ended spans (True) and other records (False) the destination has accepted.
    _taken: dict[bool, int]

    def __init__(
        self,
        inner: RecordSender,
        *,
        name: str,
        store: RecordStore,
        settings: RemoteSettings | None = None,
        queue_is_filling: Callable[[], bool] = lambda: False,
        counts: Counters | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self.store = store
        self._settings = settings
        self._queue_is_filling = queue_is_filling
        self._counts = counts
        self._send_deadline = _NEVER
        self._closed = False
        self.thread = SendThread(f"otel-ext-send {name}")
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def circuit(self) -> CircuitState:
        """The state of the circuit: `closed`, `open` or `half-open`."""
        return self._breaker.state

    @property
    def is_idle(self) -> bool:
        """Whether no batch waits for an answer, nor to be stored."""
        return self._request is None and not self._unstored

    def ensure_thread(self) -> None:
        """Start the thread that sends, if it is not running."""
        if not self.thread.is_alive:
            self.thread.ensure()

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch, or keep it on disk; waits a limited time for an answer."""
        if not self._lock.acquire(timeout=_TIMEOUT):
            return SendResult(ok=False, retry=True, message="the exporter is being closed")
        try:
            return self._send(records)
        finally:
            self._lock.release()

    def _send(self, records: Sequence[Record]) -> SendResult:
        self._wait_for_answer(_TIMEOUT)
        if not self._store_or_send_unstored():
            return self._retry_later("an earlier batch could be neither sent nor kept")
        if self._is_in_flight():
            return self._store(records, "an earlier batch has no answer yet")
        if monotonic() >= self._send_deadline:
            return self._store(records, "the time for the exit is over")
        if not self._breaker.allows():
            return self._store(records, "the circuit is open")
        request = self._start_request(records)
        self._wait_for_answer(_TIMEOUT)
        delivery = request.delivery
        if self._is_in_flight() or delivery is None:
            request.counted_as_kept = True
            return SendResult(ok=True, kept=len(records), message="no answer yet")
        refused = len(delivery.refused)
        reason = delivery.refused[0].reason if refused else delivery.result.message
        return SendResult(
            ok=True,
            rejected=delivery.rejected + refused,
            kept=len(delivery.unsent),
            message=reason,
        )

    def run_replay(self) -> None:
        """Send records from disk, for a short time; a job of the queue's thread."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._wait_for_answer(0.0)
            if (
                self._closed
                or not self._store_or_send_unstored()
                or monotonic() >= self._send_deadline
            ):
                return
            self.store.maintain()
            self._replay(monotonic() + _REPLAY_SECONDS)
        finally:
            self._lock.release()

    def set_send_deadline(self, moment: float) -> None:
        """Send until `moment` of the monotonic clock.

        Records that come after it, and a batch that it leaves without an answer, go to disk.
        """
        self._send_deadline = moment

    def close(self) -> None:
        """Write unanswered batches to disk and close the destination. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._send_deadline = min(self._send_deadline, monotonic() + _LAST_WAIT)
        if self._lock.acquire(timeout=_LAST_WAIT):
            try:
                self._wait_for_answer(_LAST_WAIT)
                self._abandon_request()
                if not self._store_or_send_unstored():
                    COUNTERS.add("remote.unsent_at_exit", len(self._unstored))
                    report_problem(f"{self.name}: {len(self._unstored)} records are lost", "exit")
                self.store.close()
            finally:
                self._lock.release()
        self.thread.stop()
        self.inner.close()

    def _is_in_flight(self) -> bool:
        return self._request is not None

    def _start_request(
        self, records: Sequence[Record], chunk: Chunk | None = None
    ) -> InFlightRequest:
        """Start to send, on the sending thread."""
        request = self._request = InFlightRequest(records, chunk)
        inner = self.inner
        taken = self._taken[records[0].is_real_end]
        accepts_records = chunk is not None and 0 <= chunk.file.taken_when_refused < taken
        self.thread.start_call(lambda: request.send(inner, accepts_records=accepts_records))
        return request

    def _wait_for_answer(self, seconds: float) -> None:
        """Wait until the request is `seconds` old, or until the deadline for sending."""
        request = self._request
        if request is None:
            return
        while True:
            now = monotonic()
            left = min(request.since + seconds, self._send_deadline) - now
            # In small steps, since `set_send_deadline` may be called meanwhile.
            if self.thread.wait(min(left, _POLL_SECONDS)):
                self._request = None
                self._finish_request(request)
                return
            if now >= self._send_deadline:
                self._abandon_request()
                return
            if left <= 0 or self._queue_is_filling():
                return

    def _abandon_request(self) -> None:
        """Store the batch of a request without an answer; it may still arrive."""
        request, self._request = self._request, None
        if request is not None:
            self.thread.abandon()
            if request.chunk is None:
                self._store_or_hold(request.records, maybe_sent=True)

    def _finish_request(self, request: InFlightRequest) -> None:
        """Process the outcome of a request that has ended."""
        delivery = request.outcome()
        kind = request.records[0].is_real_end
        self._taken[kind] += delivery.sent
        self._note_outcome(delivery, slow=request.took_longer_than(_TIMEOUT))
        self.store.add_dead_letters(delivery.refused)
        rejected = delivery.rejected + len(delivery.refused)
        if request.chunk is not None:
            rejected += self.store.finish_chunk(request.chunk, delivery, self._taken[kind])
        else:
            if delivery.unsent:
                self._store_or_hold(delivery.unsent, maybe_sent=delivery.maybe_sent)
            if delivery.rejected:
                report_problem(f"{self.name}: records were refused", delivery.result.message)
        if request.counted_as_kept:
            COUNTERS.add("remote.sent_late", delivery.sent)
            COUNTERS.add("remote.refused", rejected)
        if self._counts is not None and (request.counted_as_kept or request.chunk is not None):
            signal = "span" if kind else "log"
            self._counts.add(signal, delivery.sent)
            self._counts.add(f"{signal}.rejected", rejected)

    def _note_outcome(self, delivery: Delivery, *, slow: bool) -> None:
        result = delivery.result
        if result.ok:
            self._breaker.succeeded()
            return
        clear = delivery.refuses_all and len(delivery.unsent) >= _MIN_CONCLUSIVE
        self._breaker.failed(result.message, retry_after=result.retry_after, at_once=slow or clear)
        report_problem(f"{self.name}: nothing can be sent for now", result.message)

    def _replay(self, until: float) -> None:
        """Send records from disk until `until`, or until a batch fails."""
        while not self._is_in_flight() and monotonic() < until and self._breaker.is_ready:
            if self._queue_is_filling():
                return
            chunk = self.store.next_chunk()
            if chunk is None:
                return
            self._breaker.allows()
            request = self._start_request(chunk.records, chunk)
            self._wait_for_answer(until - monotonic())
            if request.delivery is None or request.delivery.unsent:
                return

    def _store(self, records: Sequence[Record], why: str) -> SendResult:
        if self.store.append(records):
            return SendResult(ok=True, kept=len(records), message=why)
        return self._retry_later(why)

    def _retry_later(self, why: str) -> SendResult:
        return SendResult(ok=False, retry=True, retry_after=self._breaker.wait, message=why)

    def _store_or_hold(self, records: Sequence[Record], *, maybe_sent: bool) -> None:
        """Store records that are no longer in the queue; hold them here if that fails."""
        if maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(records))
        if not self.store.append(records):
            self._unstored.extend(records)

    def _store_or_send_unstored(self) -> bool:
        """Store or send the batch that could be neither stored nor sent; whether that worked."""
        if self._unstored and self.store.append(self._unstored):
            self._unstored = []
        if self._unstored and not self._is_in_flight() and monotonic() < self._send_deadline:
            if not self._breaker.allows():
                return False
            records, self._unstored = self._unstored, []
            self._start_request(records)
            self._wait_for_answer(_TIMEOUT)
        return not self._unstored

    def _reset(self) -> None:
        """Start with an unknown destination; a forked child has no requests yet."""
        self._breaker = CircuitBreaker(self.name, self._settings)
        self._request = None
        self._unstored = []
        self._taken = {True: 0, False: 0}
        self._lock = new_lock()
