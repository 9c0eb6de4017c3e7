"""`Sender`: sends the records of one signal, and keeps what cannot be sent now.

::

    batch ─ encode ─► request ── circuit open, or another has no answer ─► disk
                         │ else                                            │
                         ▼                                                 │ replay
       a thread of its own ─► destination ── failed, no answer ─► disk     │
                         ▲                └── refused: halved ─► dead letter
                         └─────────────────────────────────────────────────┘

Where there is no disk, or it is full, the batch goes back to the batcher. Everything
except the request itself runs on the queue's thread.
"""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from otel_ext.exporters.delivery.retry import CircuitBreaker
from otel_ext.exporters.delivery.splitting import Delivery, Refused, deliver
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread, Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_ext.exporters.delivery.batcher import Batch
    from otel_ext.exporters.delivery.persistent.queue import WaitingRequest
    from otel_ext.exporters.delivery.settings import RemoteSettings
    from otel_ext.protocols import Request, RequestSender
    from otel_ext.runtime.counters import Counters
    from otel_ext.runtime.health import HealthCell

__all__ = ["BatchSource", "Sender", "make_senders"]

# Seconds to wait for an answer; then later batches go to disk. If the queue fills up
# meanwhile, as in a busy program, the wait ends sooner.
_TIMEOUT: Final = 1.0
_POLL_SECONDS: Final = 0.05
# How long one replay may delay the queue, in seconds.
_REPLAY_SECONDS: Final = 0.3
_LAST_WAIT: Final = 0.5
# If all of a smaller request is refused, that may be due to its records.
_MIN_CONCLUSIVE: Final = 16


class BatchSource(Protocol):
    """The queue that the batches come from.

    Attributes:
        counts: What was sent and lost, by signal; for metrics.
        health: The destination's health.
    """

    counts: Counters
    health: HealthCell

    @property
    def is_filling(self) -> bool:
        """Whether the queue may soon be full, so that it needs its thread back."""
        ...

    def done(self, batch: Batch) -> None:
        """Free the space of a batch that was sent, stored or given up."""
        ...

    def put_back(self, batch: Batch) -> None:
        """Take back a batch that can be neither sent nor stored now."""
        ...


@dataclass
class _Sending:
    """A request that is being sent; it comes from the queue or from disk."""

    request: Request
    is_final: bool
    ticket: Ticket
    batch: Batch | None = None
    waiting: WaitingRequest | None = None
    # Whether it was counted as kept, since the answer takes long.
    is_kept: bool = False
    since: float = field(default_factory=monotonic)


class Sender:
    """Sends the batches of one signal to a destination, each at least once.

    Records that may arrive twice are counted under `remote.maybe_twice`.

    Args:
        inner: The destination.
        signal: The signal of the batches.
        source: Where they come from.
        name: The destination or its signal in `health()` and in messages.
        store: Keeps on disk what cannot be sent; None keeps nothing.
        settings: When the destination counts as down, and how it is retried.
    """

    retry: CircuitBreaker
    _sending: _Sending | None
    # How many ended spans (True) and other records (False) the destination has accepted.
    _accepted: dict[bool, int]

    def __init__(
        self,
        inner: RequestSender,
        signal: str,
        source: BatchSource,
        *,
        name: str,
        store: PersistentQueue | None = None,
        settings: RemoteSettings | None = None,
    ) -> None:
        self.name = name
        self.store = store
        # Until when records are sent, by the monotonic clock; later ones go to disk, and so
        # does a request that it leaves without an answer.
        self.send_deadline = inf
        self.thread = IsolatedThread(name, name=f"otel-ext-send {name}")
        self._inner = inner
        self._signal = signal
        self._source = source
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Start with an unknown destination; a forked child has no requests yet."""
        self.retry = CircuitBreaker(self.name, self._settings)
        self._sending = None
        self._accepted = {True: 0, False: 0}

    @property
    def has_batch(self) -> bool:
        """Whether a batch waits for an answer."""
        sending = self._sending
        return sending is not None and sending.batch is not None

    def accepts_batch(self, *, is_flush: bool) -> bool:
        """Take the last answer, if it is there; return whether a batch may be sent or stored.

        Args:
            is_flush: Whether to try although the destination has just failed.
        """
        self._wait_for_answer(0.0)
        if self.store is not None:
            return True
        is_free = self._sending is None and monotonic() < self.send_deadline
        return is_free and self.retry.is_ready(is_flush=is_flush)

    def send(self, batch: Batch, *, is_flush: bool = False) -> None:
        """Send a batch, write it to disk, or put it back; waits a limited time for an answer.

        Args:
            batch: A batch of the signal.
            is_flush: As for `accepts_batch`.
        """
        self._wait_for_answer(_TIMEOUT)
        try:
            request = self._inner.encode(self._signal, batch.records)
        except Exception as error:  # noqa: BLE001 - the sender may be the user's
            COUNTERS.add("remote.not_encoded", len(batch.items))
            report_problem(f"{self.name}: a batch is lost", error)
            request = None
        if request is None:
            self._source.done(batch)
            return
        if why := self._why_not_now(is_flush=is_flush):
            self._keep(batch, [request], why)
            return
        sending = self._start(request, batch=batch, is_final=batch.is_final)
        self._wait_for_answer(_TIMEOUT)
        if self._sending is sending:
            self._note_kept(request.records, "no answer yet")
            sending.is_kept = True

    def _why_not_now(self, *, is_flush: bool) -> str:
        """Return why no request can be started now; empty if one must be started."""
        if self._sending is not None:
            return "an earlier request has no answer yet"
        if monotonic() >= self.send_deadline:
            return "the time for the exit is over"
        is_urgent = is_flush and self.store is None
        return "" if self.retry.allows(is_flush=is_urgent) else "the circuit is open"

    def replay(self) -> None:
        """Send requests from disk, for a short time, or until one fails."""
        now, store = monotonic(), self.store
        if store is None or now >= self.send_deadline:
            return
        self._wait_for_answer(0.0)
        store.maintain()
        until = now + _REPLAY_SECONDS
        while self._sending is None and monotonic() < until and self.retry.is_ready():
            waiting = None if self._source.is_filling else store.next()
            if waiting is None:
                return
            self.retry.allows()
            self._start(waiting.request, waiting=waiting, is_final=waiting.is_final)
            if not self._wait_for_answer(until - monotonic()):
                return

    def close(self) -> None:
        """Write what has no answer to disk, as later batches; the next program has the files."""
        self.send_deadline = min(self.send_deadline, monotonic() + _LAST_WAIT)
        self._wait_for_answer(_LAST_WAIT)
        self._abandon()
        self.send_deadline = -inf
        self.retry.end()
        if self.store is not None:
            self.store.close()
        self.thread.stop()

    def _start(
        self,
        request: Request,
        *,
        is_final: bool,
        batch: Batch | None = None,
        waiting: WaitingRequest | None = None,
    ) -> _Sending:
        """Start to send, on the sending thread."""
        accepted = self._accepted[is_final]
        is_suspect = waiting is not None and 0 <= waiting.file.accepted_when_refused < accepted
        call = partial(deliver, self._inner, request, accepts_records=is_suspect)
        # Left: what it raises is reported.
        ticket = self.thread.submit(copy_context().run, call, is_left=True)
        self._sending = sending = _Sending(request, is_final, ticket, batch, waiting)
        return sending

    def _wait_for_answer(self, seconds: float) -> bool:
        """Wait until the request is `seconds` old, or until the deadline for sending.

        Returns:
            Whether it was sent as a whole.
        """
        while (sending := self._sending) is not None:
            now = monotonic()
            left = min(sending.since + seconds, self.send_deadline) - now
            # In small steps, since the deadline may be set meanwhile.
            if sending.ticket.wait(min(left, _POLL_SECONDS)):
                self._sending = None
                return self._finish(sending)
            if now >= self.send_deadline:
                self._abandon()
            elif left <= 0 or (self.store is not None and self._source.is_filling):
                return False
        return False

    def _abandon(self) -> None:
        """Keep the records of a request without an answer; they may still arrive."""
        sending, self._sending = self._sending, None
        if sending is not None:
            self.thread.abandon()
            if sending.batch is not None:
                COUNTERS.add("remote.maybe_twice", sending.request.records)
                self._keep(sending.batch, [sending.request], "no answer", is_new=False)

    def _finish(self, sending: _Sending) -> bool:
        """Process the outcome of a request; return whether all of it was sent."""
        delivery = sending.ticket.result
        if not isinstance(delivery, Delivery):  # it raised
            lost = SendResult(ok=False, retry=True, message="the call failed")
            delivery = Delivery(lost, unsent=(sending.request,), maybe_sent=True)
        try:
            delivery = self._process(sending, delivery)
        finally:  # whatever fails, the batch does not occupy the queue forever
            if sending.batch is not None:
                self._finish_batch(sending.batch, delivery, is_new=not sending.is_kept)
        return not delivery.unsent

    def _process(self, sending: _Sending, delivery: Delivery) -> Delivery:
        """Note an outcome and process it on disk; return what is left of it."""
        self._accepted[sending.is_final] += delivery.sent
        self._note_result(delivery, is_slow=monotonic() - sending.since > _TIMEOUT)
        if self.store is not None:
            self.store.set_aside(delivery.refused)
            if sending.waiting is not None:
                accepted = self._accepted[sending.is_final]
                given_up = self.store.finish(sending.waiting, delivery, accepted)
                delivery = delivery._replace(refused=(*delivery.refused, *given_up))
        elif delivery.refuses_all:  # there is nowhere to wait for a change
            refused = tuple(Refused(one, delivery.result.message) for one in delivery.unsent)
            delivery = delivery._replace(unsent=(), refused=refused)
        self._note_delivery(sending, delivery)
        return delivery

    def _finish_batch(self, batch: Batch, delivery: Delivery, *, is_new: bool) -> None:
        if not delivery.unsent:
            self._source.done(batch)
            return
        if delivery.maybe_sent:
            COUNTERS.add("remote.maybe_twice", delivery.unsent_records)
        if not self._keep(batch, delivery.unsent, delivery.result.message, is_new=is_new):
            COUNTERS.add("remote.maybe_twice", delivery.sent)  # all of the batch is sent again

    def _keep(
        self, batch: Batch, requests: Sequence[Request], why: str, *, is_new: bool = True
    ) -> bool:
        """Write the rest of a batch to disk; if that fails, put the batch back."""
        records = sum(request.records for request in requests)
        if self.store is None or not self.store.append(requests, is_final=batch.is_final):
            self._source.put_back(batch)
            COUNTERS.add("remote.retries")
            when = f"in {self.retry.wait:.1f} s" if self.retry.wait else "soon"
            self._source.health.failed(f"not sent, and tried again {when}: {why}")
            return False
        self._source.done(batch)
        COUNTERS.add("remote.persisted", records)
        if is_new:
            self._note_kept(records, why)
        return True

    def _note_kept(self, records: int, why: str) -> None:
        COUNTERS.add("remote.kept", records)
        self._source.health.degraded(f"records are kept to be sent later: {why}")

    def _note_result(self, delivery: Delivery, *, is_slow: bool) -> None:
        result = delivery.result
        if result.ok:
            self.retry.succeeded()
            return
        is_clear = delivery.refuses_all and delivery.unsent_records >= _MIN_CONCLUSIVE
        at_once = is_slow or is_clear
        self.retry.failed(result.message, retry_after=result.retry_after, at_once=at_once)
        report_problem(f"{self.name}: nothing can be sent for now", result.message)

    def _note_delivery(self, sending: _Sending, delivery: Delivery) -> None:
        """Count what was sent and what was refused, and report it."""
        refused = delivery.rejected + delivery.refused_records
        signal = "span" if sending.is_final else "log"
        self._source.counts.add(signal, delivery.sent)
        self._source.counts.add(f"{signal}.rejected", refused)
        how = "sent_finals" if sending.is_final else "sent_events"
        if sending.batch is None or sending.is_kept:
            how = "replayed" if sending.batch is None else "sent_late"
        COUNTERS.add(f"remote.{how}", delivery.sent)
        COUNTERS.add("remote.refused", refused)
        if not refused:
            if delivery.sent:
                self._source.health.healthy("records are sent")
            return
        reason = delivery.refused[0].reason if delivery.refused else delivery.result.message
        self._source.health.degraded(f"{refused} records were refused: {reason}")
        if delivery.rejected or self.store is None:
            report_problem(f"{self.name}: records were refused", reason)


def make_senders(
    inner: RequestSender,
    source: BatchSource,
    name: str,
    folder: Path | None,
    settings: RemoteSettings,
) -> dict[str, Sender]:
    """Return a sender for each signal; the first one has the destination's plain name.

    Args:
        inner: The destination.
        source: Where the batches come from.
        name: The destination in `health()` and in files.
        folder: Where what cannot be sent is kept; None keeps nothing.
        settings: When the destination counts as down, and how it is retried.
    """
    made: dict[str, Sender] = {}
    for signal in inner.signals:
        full_name = f"{name} {signal}" if made else name
        store: PersistentQueue | None = None
        if folder is not None:
            store = PersistentQueue(inner, full_name, folder, settings.persistent_queue_size)
        made[signal] = Sender(inner, signal, source, name=full_name, store=store, settings=settings)
    return made
