"""`ResilientSender`: between a queue and a destination that may be slow, picky or away.

::

    send(batch) ── circuit open, or a call hangs ──────────────► disk
        │ else                                                    │
        ▼                                                         │ replay, one
    a thread of its own ─► destination ── failed, no answer ─► disk │ batch at a time
        ▲                        └── refused: halved ─► poison    │
        └─────────────────────────────────────────────────────────┘

All of it runs on the queue's thread, but for the call itself.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.breaker import CircuitBreaker, RetryLimits
from otel_ext.exporters.send_thread import SendThread
from otel_ext.exporters.splitting import Delivery, deliver
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.native import new_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.exporters.breaker import CircuitState
    from otel_ext.exporters.spill import Chunk, SpillFolder
    from otel_ext.exporters.splitting import Refused
    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record

__all__ = ["ResilientSender"]

# A call that takes longer is not waited for: what comes meanwhile goes to disk.
# At 5,000 spans a second the queue has room for a second and a half.
_PATIENCE: Final = 1.0
# How long one turn of replay may keep the queue waiting, in seconds.
_REPLAY_SECONDS: Final = 0.3
_ADOPT_SECONDS: Final = 30.0
_LAST_WAIT: Final = 0.5
_NEVER: Final = float("inf")


class _Call:
    """A batch on its way: where it came from, and what became of it."""

    __slots__ = ("chunk", "delivery", "records", "since", "slow")

    def __init__(self, records: Sequence[Record], chunk: Chunk | None) -> None:
        self.records = records
        self.chunk = chunk
        self.since = monotonic()
        self.slow = False
        self.delivery: Delivery | None = None


class ResilientSender:
    """Sends to one destination, and keeps on disk what it does not take now.

    A batch is lost only where neither destination nor disk takes it; then the
    queue is told to keep it. Sending again is at least once: what may arrive twice is
    counted under `remote.maybe_twice`.

    Args:
        inner: The destination.
        name: What it is called in `health()`, in messages and in file names.
        limits: When it counts as down and how it is tried again.
        spill: Where to keep records; None keeps none.
        poison: Where to put records that it refuses; None drops them.
    """

    def __init__(
        self,
        inner: RecordSender,
        *,
        name: str,
        limits: RetryLimits | None = None,
        spill: SpillFolder | None = None,
        poison: SpillFolder | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self._limits = limits or RetryLimits()
        self._spill = spill
        self._poison = poison
        self._finish_by = _NEVER
        self._closed = False
        self.thread = SendThread(f"otel-ext-send {name}")
        self._begin_anew()
        after_fork_in_child(self._begin_anew)

    @property
    def circuit(self) -> CircuitState:
        """The state of the circuit: `closed`, `open` or `half-open`."""
        return self._breaker.state

    @property
    def is_settled(self) -> bool:
        """Whether no batch is on its way without an answer."""
        return self._call is None

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch, or keep it on disk; waits for an answer only so long."""
        if not self._turn.acquire(timeout=_PATIENCE):
            return SendResult(ok=False, retry=True, message="the exporter is being closed")
        try:
            self._settle_within(_PATIENCE)
            if self._call is not None:
                return self._keep(records, "an earlier batch has no answer yet")
            if monotonic() >= self._finish_by:
                return self._keep(records, "the time to exit was up")
            if not self._breaker.allows():
                return self._keep(records, "the circuit is open")
            call = self._begin(records)
            self._settle_within(_PATIENCE)
            delivery = call.delivery
            if delivery is None or self._call is not None:
                # Counted as kept: it is settled, or kept on disk, by a later turn.
                return SendResult(ok=True, kept=len(records), message="no answer yet")
            return self._result_of(delivery)
        finally:
            self._turn.release()

    def tick(self) -> None:
        """Replay what waits on disk, for a moment; the job of the queue's thread."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._settle_within(0.0)
            self._place_homeless()
            if self._spill is None or self._closed or monotonic() >= self._finish_by:
                return
            self._spill.sync()
            self._adopt()
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
                self._give_up_call()
                self._place_homeless()
                for folder in (self._spill, self._poison):
                    if folder is not None:
                        folder.close()
            finally:
                self._turn.release()
        self.thread.stop()
        self.inner.close()

    def _begin(self, records: Sequence[Record], chunk: Chunk | None = None) -> _Call:
        """Begin to send on the sending thread."""
        call = self._call = _Call(records, chunk)
        taken = self._taken
        works = chunk is not None and 0 <= chunk.file.suspect_since < taken

        def run() -> None:
            call.delivery = deliver(self.inner, records, works=works)

        self.thread.begin(run)
        return call

    def _settle_within(self, seconds: float) -> None:
        """Wait for the call under way, until it is so old or there is no time left."""
        call = self._call
        if call is None:
            return
        until = min(call.since + seconds, self._finish_by)
        if self.thread.wait(until - monotonic()):
            self._call = None
            self._settle(call)
        elif monotonic() >= self._finish_by:
            self._give_up_call()
        else:
            call.slow = True

    def _give_up_call(self) -> None:
        """Bring to disk what is on its way without an answer; it may arrive all the same."""
        call, self._call = self._call, None
        if call is None:
            return
        self.thread.abandon()
        if call.chunk is None:
            self._put_away(call.records, maybe_sent=True)

    def _settle(self, call: _Call) -> None:
        """Take note of what became of a call that came to an end."""
        delivery = call.delivery
        if delivery is None:  # `deliver` itself failed, which was reported
            lost = SendResult(ok=False, retry=True, message="no outcome")
            delivery = Delivery(0, 0, (), tuple(call.records), True, False, lost)
            call.delivery = delivery
        self._taken += delivery.sent
        if delivery.result.ok:
            self._breaker.succeeded()
        else:
            self._breaker.failed(
                delivery.result.message,
                retry_after=delivery.result.retry_after,
                at_once=call.slow or delivery.refuses_all,
            )
        self._set_aside(delivery.refused)
        if call.chunk is not None:
            self._settle_chunk(call.chunk, delivery)
        elif delivery.unsent:
            self._put_away(delivery.unsent, maybe_sent=delivery.maybe_sent)
        elif call.slow:
            COUNTERS.add("remote.sent_late", delivery.sent)

    def _settle_chunk(self, chunk: Chunk, delivery: Delivery) -> None:
        """Take note of what became of records that came from disk."""
        spill = self._spill
        if spill is None:
            return
        COUNTERS.add("remote.replayed", delivery.sent)
        if delivery.rejected:
            self._say_rejected(delivery)
        if delivery.maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(delivery.unsent))
        if delivery.refuses_all:
            chunk.file.suspect_since = self._taken
            spill.put_last(chunk.file)
        elif not delivery.unsent:
            spill.done(chunk)
        elif len(delivery.unsent) < len(chunk.records) and spill.append(delivery.unsent):
            spill.done(chunk)

    def _result_of(self, delivery: Delivery) -> SendResult:
        """Return what the queue is told of a batch that was settled at once."""
        if self._homeless:
            # Neither sent nor kept: the queue keeps them.
            kept, self._homeless = self._homeless, []
            if len(kept) == delivery.sent + delivery.rejected + len(kept):
                return delivery.result._replace(ok=False, retry=True)
            self._homeless = kept
        return SendResult(
            ok=True,
            rejected=delivery.rejected + len(delivery.refused),
            kept=len(delivery.unsent),
            message=delivery.result.message,
        )

    def _keep(self, records: Sequence[Record], why: str) -> SendResult:
        if self._spill is None or not self._spill.append(records):
            return SendResult(ok=False, retry=True, message=why)
        COUNTERS.add("remote.spilled", len(records))
        return SendResult(ok=True, kept=len(records), message=why)

    def _put_away(self, records: Sequence[Record], *, maybe_sent: bool) -> None:
        """Keep records that the queue holds no more."""
        if maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(records))
        if self._spill is not None and self._spill.append(records):
            COUNTERS.add("remote.spilled", len(records))
        else:
            self._homeless.extend(records)
