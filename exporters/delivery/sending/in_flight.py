"""`InFlightRequest`: a batch that is being sent, and its outcome."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from otel_ext.exporters.delivery.sending.splitting import Delivery, deliver
from otel_ext.protocols import SendResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.exporters.delivery.persistent.lines import Chunk
    from otel_ext.protocols import RecordSender
    from otel_ext.record.model import Record
    from otel_ext.runtime.isolated import Ticket

__all__ = ["InFlightRequest"]


class InFlightRequest:
    """One batch that is being sent.

    Args:
        records: The batch.
        chunk: The chunk on disk that it came from; None if it came from the queue.
    """

    __slots__ = ("_ended", "chunk", "counted_as_kept", "delivery", "records", "since", "ticket")

    def __init__(self, records: Sequence[Record], chunk: Chunk | None = None) -> None:
        self.records = records
        self.chunk = chunk
        self.since = monotonic()
        # None until the call is submitted.
        self.ticket: Ticket | None = None
        self._ended = 0.0
        self.delivery: Delivery | None = None
        # Whether the queue got the answer that this batch is kept.
        self.counted_as_kept = False

    def send(self, inner: RecordSender, *, accepts_records: bool) -> None:
        """Send the batch; called on the sending thread.

        Args:
            inner: The destination.
            accepts_records: Whether it is known to accept records.
        """
        self.delivery = deliver(inner, self.records, accepts_records=accepts_records)
        self._ended = monotonic()

    def has_ended(self, seconds: float) -> bool:
        """Wait up to `seconds` for the answer; return whether the call has ended."""
        return self.ticket is None or self.ticket.wait(seconds)

    def took_longer_than(self, seconds: float) -> bool:
        """Whether the answer took longer than `seconds`."""
        return self._ended - self.since > seconds

    def outcome(self) -> Delivery:
        """Return the outcome of a request that has ended; one that raised has no answer."""
        if self.delivery is None:  # the thread has reported why
            lost = SendResult(ok=False, retry=True, message="the call failed")
            self.delivery = Delivery(lost, unsent=tuple(self.records), maybe_sent=True)
        return self.delivery
