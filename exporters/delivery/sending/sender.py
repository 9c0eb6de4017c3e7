"""`ResilientSender`: between a queue and a destination that may be slow, picky or away.

::

    send(batch) ── circuit open, or a call hangs ────────────────► disk
        │ else                                                      │
        ▼                                                           │ replay, a batch
    a thread of its own ─► destination ── failed, no answer ─► disk │ at a time
        ▲                       └── refused: halved ─► poison       │
        └───────────────────────────────────────────────────────────┘

All of it runs on the queue's thread, but for the call itself.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.sending.breaker import CircuitBreaker, RetryLimits
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
    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record
    from otel_ext.runtime.counters import Counters

__all__ = ["ResilientSender"]

# A call that takes longer is not waited for: what comes meanwhile goes to disk. Nor
# is it where the queue fills up meanwhile, which a busy program does much sooner.
_TIMEOUT: Final = 1.0
_LOOK: Final = 0.05
# How long one turn of replay may keep the queue waiting, in seconds.
_REPLAY_SECONDS: Final = 0.3
_LAST_WAIT: Final = 0.5
# A batch of fewer records says little about the destination when all are refused.
_TELLING: Final = 16
_NEVER: Final = float("inf")


class ResilientSender:
    """Sends to one destination, and keeps what it does not take now.

    Sending again is at least once: what may arrive twice is counted under
    `remote.maybe_twice`.

    Args:
        inner: The destination.
        name: What it is called in `health()`, in messages and in file names.
        store: Where to keep records, on disk.
        limits: When the destination counts as down and how it is tried again.
        hurried: Tells whether the queue needs its thread back.
        counts: Where to note what becomes of records that the queue holds no more.
    """

    _breaker: CircuitBreaker
    _call: InFlightRequest | None
    # What neither the destination nor the disk took: a batch at the most.
    _homeless: list[Record]
    # How many ended spans, and how many others, the destination has taken.
    _taken: dict[bool, int]

    def __init__(
        self,
        inner: RecordSender,
        *,
        name: str,
        store: RecordStore,
        limits: RetryLimits | None = None,
        hurried: Callable[[], bool] = lambda: False,
        counts: Counters | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self.store = store
        self._limits = limits or RetryLimits()
        self._hurried = hurried
        self._counts = counts
        self._finish_by = _NEVER
        self._closed = False
        self.thread = SendThread(f"otel-ext-send {name}")
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def circuit(self) -> CircuitState:
        """The state of the circuit: `closed`, `open` or `half-open`."""
        return self._breaker.state

    @property
    def is_settled(self) -> bool:
        """Whether no batch is on its way without an answer."""
        return self._call is None and not self._homeless

    def ensure_thread(self) -> None:
        """Start the thread that makes the calls, if it does not run."""
        if not self.thread.is_alive:
            self.thread.ensure()

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch, or keep it on disk; waits for an answer only so long."""
        if not self._turn.acquire(timeout=_TIMEOUT):
            return SendResult(ok=False, retry=True, message="the exporter is being closed")
        try:
            return self._send(records)
        finally:
            self._turn.release()

    def _send(self, records: Sequence[Record]) -> SendResult:
        self._settle_within(_TIMEOUT)
        if not self._find_home():
            return self._busy("an earlier batch could be neither sent nor kept")
        if self._is_busy():
            return self._keep(records, "an earlier batch has no answer yet")
        if monotonic() >= self._finish_by:
            return self._keep(records, "the time to exit was up")
        if not self._breaker.allows():
            return self._keep(records, "the circuit is open")
        call = self._begin(records)
        self._settle_within(_TIMEOUT)
        delivery = call.delivery
        if self._is_busy() or delivery is None:
            call.promised = True
            return SendResult(ok=True, kept=len(records), message="no answer yet")
        refused = len(delivery.refused)
        reason = delivery.refused[0].reason if refused else delivery.result.message
        return SendResult(
            ok=True,
            rejected=delivery.rejected + refused,
            kept=len(delivery.unsent),
            message=reason,
        )

    def tick(self) -> None:
        """Replay what waits on disk, for a moment; a job of the queue's thread."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._settle_within(0.0)
            if self._closed or not self._find_home() or monotonic() >= self._finish_by:
                return
            self.store.tick()
            self._replay(monotonic() + _REPLAY_SECONDS)
        finally:
            self._turn.release()

    def finish_by(self, moment: float) -> None:
        """Try the destination no longer than until then, by the monotonic clock.

        Everything that comes later, or has no answer by then, goes to disk.
        """
        self._finish_by = moment

    def close(self) -> None:
        """Bring to disk what has no answer, and let go of the destination. Twice is once."""
        if self._closed:
            return
        self._closed = True
        self._finish_by = min(self._finish_by, monotonic() + _LAST_WAIT)
        if self._turn.acquire(timeout=_LAST_WAIT):
            try:
                self._settle_within(_LAST_WAIT)
                self._give_up()
                if not self._find_home():
                    COUNTERS.add("remote.unsent_at_exit", len(self._homeless))
                    report_problem(f"{self.name}: {len(self._homeless)} records are lost", "exit")
                self.store.close()
            finally:
                self._turn.release()
        self.thread.stop()
        self.inner.close()

    def _is_busy(self) -> bool:
        return self._call is not None

    def _begin(self, records: Sequence[Record], chunk: Chunk | None = None) -> InFlightRequest:
        """Begin to send on the sending thread."""
        call = self._call = InFlightRequest(records, chunk)
        inner = self.inner
        taken = self._taken[records[0].is_real_end]
        works = chunk is not None and 0 <= chunk.file.suspect_since < taken
        self.thread.begin(lambda: call.make(inner, works=works))
        return call

    def _settle_within(self, seconds: float) -> None:
        """Wait for the call under way, until it is so old or there is no time left."""
        call = self._call
        if call is None:
            return
        while True:
            now = monotonic()
            left = min(call.since + seconds, self._finish_by) - now
            # In small steps, since the time to exit may come while it waits.
            if self.thread.wait(min(left, _LOOK)):
                self._call = None
                self._settle(call)
                return
            if now >= self._finish_by:
                self._give_up()
                return
            if left <= 0 or self._hurried():
                return

    def _give_up(self) -> None:
        """Keep what is on its way without an answer; it may arrive all the same."""
        call, self._call = self._call, None
        if call is not None:
            self.thread.abandon()
            if call.chunk is None:
                self._put_away(call.records, maybe_sent=True)

    def _settle(self, call: InFlightRequest) -> None:
        """Take note of what became of a call that came to an end."""
        delivery = call.outcome()
        kind = call.records[0].is_real_end
        self._taken[kind] += delivery.sent
        self._note_outcome(delivery, slow=call.took_longer_than(_TIMEOUT))
        self.store.set_aside(delivery.refused)
        rejected = delivery.rejected + len(delivery.refused)
        if call.chunk is not None:
            rejected += self.store.settle_chunk(call.chunk, delivery, self._taken[kind])
        else:
            if delivery.unsent:
                self._put_away(delivery.unsent, maybe_sent=delivery.maybe_sent)
            if delivery.rejected:
                report_problem(f"{self.name}: records were refused", delivery.result.message)
        if call.promised:
            COUNTERS.add("remote.sent_late", delivery.sent)
            COUNTERS.add("remote.refused", rejected)
        if self._counts is not None and (call.promised or call.chunk is not None):
            signal = "span" if kind else "log"
            self._counts.add(signal, delivery.sent)
            self._counts.add(f"{signal}.rejected", rejected)

    def _note_outcome(self, delivery: Delivery, *, slow: bool) -> None:
        result = delivery.result
        if result.ok:
            self._breaker.succeeded()
            return
        clear = delivery.refuses_all and len(delivery.unsent) >= _TELLING
        self._breaker.failed(result.message, retry_after=result.retry_after, at_once=slow or clear)
        report_problem(f"{self.name}: nothing can be sent for now", result.message)

    def _replay(self, until: float) -> None:
        """Send what waits on disk, until the time is up or it fails."""
        while not self._is_busy() and monotonic() < until and self._breaker.is_ready:
            if self._hurried():
                return
            chunk = self.store.next_chunk()
            if chunk is None:
                return
            self._breaker.allows()
            call = self._begin(chunk.records, chunk)
            self._settle_within(until - monotonic())
            if call.delivery is None or call.delivery.unsent:
                return

    def _keep(self, records: Sequence[Record], why: str) -> SendResult:
        if self.store.keep(records):
            return SendResult(ok=True, kept=len(records), message=why)
        return self._busy(why)

    def _busy(self, why: str) -> SendResult:
        return SendResult(ok=False, retry=True, retry_after=self._breaker.wait, message=why)

    def _put_away(self, records: Sequence[Record], *, maybe_sent: bool) -> None:
        """Keep records that the queue holds no more."""
        if maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(records))
        if not self.store.keep(records):
            self._homeless.extend(records)

    def _find_home(self) -> bool:
        """Keep or send what could be neither kept nor sent; whether none is left."""
        if self._homeless and self.store.keep(self._homeless):
            self._homeless = []
        if self._homeless and not self._is_busy() and monotonic() < self._finish_by:
            if not self._breaker.allows():
                return False
            records, self._homeless = self._homeless, []
            self._begin(records)
            self._settle_within(_TIMEOUT)
        return not self._homeless

    def _reset(self) -> None:
        """Know nothing of the destination yet; a forked child goes on as another program."""
        self._breaker = CircuitBreaker(self.name, self._limits)
        self._call = None
        self._homeless = []
        self._taken = {True: 0, False: 0}
        self._turn = new_lock()
