"""`BySignal`: gives each signal of a destination its own circuit, disk queue and thread.

Jaeger and Tempo accept spans and refuse logs. With one circuit for both, refused
logs would delay the spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_ext.exporters.delivery.sending.breaker import CircuitState
    from otel_ext.exporters.delivery.sending.sender import ResilientSender
    from otel_ext.record.model import Record

__all__ = ["BySignal"]


class BySignal:
    """Passes each record to the sender of its signal; a `SignalSender`.

    Args:
        senders: One for each signal, the most important first.
        signal_of: Returns the signal of a record.
    """

    def __init__(
        self, senders: Mapping[str, ResilientSender], signal_of: Callable[[Record], str]
    ) -> None:
        self._senders = dict(senders)
        self.signals = tuple(self._senders)
        self.signal_of = signal_of

    @property
    def circuit(self) -> CircuitState:
        """The worst state of the circuits: `open`, then `half-open`, then `closed`."""
        worst: CircuitState = "closed"
        for sender in self._senders.values():
            if sender.circuit == "open":
                return sender.circuit
            if sender.circuit == "half-open":
                worst = sender.circuit
        return worst

    @property
    def is_idle(self) -> bool:
        """Whether no batch waits for an answer."""
        return all(sender.is_idle for sender in self._senders.values())

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        return sum(sender.store.waiting for sender in self._senders.values())

    def ensure_threads(self) -> None:
        """Start the threads that are not running."""
        for sender in self._senders.values():
            sender.thread.ensure()

    def send(self, records: Sequence[Record]) -> SendResult:
        """Send one batch, each record by the sender of its signal."""
        parts: dict[str, list[Record]] = {}
        for record in records:
            parts.setdefault(self.signal_of(record), []).append(record)
        results = [(self._senders[signal].send(part), len(part)) for signal, part in parts.items()]
        if len(results) == 1:
            return results[0][0]
        return _merged(results)

    def replay(self) -> None:
        """Send records from disk, for a short time."""
        for sender in self._senders.values():
            sender.run_replay()

    def set_send_deadline(self, moment: float) -> None:
        """Send until `moment` of the monotonic clock; later records go to disk."""
        for sender in self._senders.values():
            sender.set_send_deadline(moment)

    def close(self) -> None:
        """Write unanswered batches to disk and close the destination. Idempotent."""
        for sender in self._senders.values():
            sender.close()


def _merged(results: list[tuple[SendResult, int]]) -> SendResult:
    """Merge the results of the parts of a batch; one that must be retried wins."""
    failed = next((result for result, _ in results if not result.ok), None)
    message = "; ".join(dict.fromkeys(result.message for result, _ in results if result.message))
    if failed is not None:
        # The queue retries the whole batch, so the parts that went well are sent again.
        COUNTERS.add("remote.maybe_twice", sum(count for result, count in results if result.ok))
        return failed._replace(message=message)
    return SendResult(
        ok=True,
        rejected=sum(result.rejected for result, _ in results),
        kept=sum(result.kept for result, _ in results),
        message=message,
    )
