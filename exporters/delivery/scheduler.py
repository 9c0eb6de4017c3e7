"""`Scheduler`: alternates between batches of final records and of events, so neither starves.

Otherwise a program that ends more spans than the destination accepts would never send
the starts of running spans: they would wait until their own ends replace them.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from otel_ext.protocols import SignalSender
from otel_ext.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_ext.exporters.delivery.batcher import Batch, Batcher
    from otel_ext.protocols import RecordSender

__all__ = ["BATCH_SIZE", "EVENTS_INTERVAL", "Scheduler", "backoffs_for"]

BATCH_SIZE: Final = 512
# How often a batch that is not full is sent, in seconds.
EVENTS_INTERVAL: Final = 0.2
_FINALS_INTERVAL: Final = 1.0
# Seconds until a batch that failed is sent again.
_INITIAL_INTERVAL: Final = 0.5
_MAX_INTERVAL: Final = 30.0


class Scheduler:
    """Takes batches from a batcher: final records first, then each kind in turn.

    Args:
        batcher: Holds what is to be sent.
    """

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        # When a batch that is not full may be sent, by the monotonic clock.
        self._finals_due = 0.0
        self._events_due = 0.0
        self._was_final = False

    def restart(self) -> None:
        """Let final records be first, whatever the last batch was."""
        self._was_final = False

    def next(self, now: float, *, everything: bool, paused: Collection[bool] = ()) -> Batch | None:
        """Return the next batch; None if nothing is due.

        Args:
            now: By the monotonic clock.
            everything: Whether all records are due, also starts within their grace.
            paused: The kinds to leave out: True for final records, False for events.
        """
        are_finals_due = True not in paused and self._are_finals_due(now, everything=everything)
        if False not in paused and (everything or now >= self._events_due):
            if are_finals_due and not self._was_final:
                return self._finals(now)
            batch = self._events(now, everything=everything)
            if batch is not None:
                return batch
        return self._finals(now) if are_finals_due else None

    def _are_finals_due(self, now: float, *, everything: bool) -> bool:
        waiting = self._batcher.finals_waiting
        return waiting >= BATCH_SIZE or (waiting > 0 and (everything or now >= self._finals_due))

    def _finals(self, now: float) -> Batch:
        batch = self._batcher.next_finals(BATCH_SIZE)
        self._was_final = True
        if not self._batcher.finals_waiting:
            self._finals_due = now + _FINALS_INTERVAL
        return batch

    def _events(self, now: float, *, everything: bool) -> Batch | None:
        batch = self._batcher.next_events(BATCH_SIZE, inf if everything else now)
        self._was_final = False
        if not self._batcher.events_waiting:
            self._events_due = now + EVENTS_INTERVAL
        return batch if batch.items else None


def backoffs_for(sender: RecordSender) -> dict[bool, Backoff]:
    """Return the back-offs of final records (True) and of events (False); both may be the same.

    If the sender has several signals, events that fail do not delay final records.

    Args:
        sender: Sends both kinds.
    """
    finals = Backoff(_INITIAL_INTERVAL, _MAX_INTERVAL)
    apart = isinstance(sender, SignalSender) and len(sender.signals) > 1
    return {True: finals, False: Backoff(_INITIAL_INTERVAL, _MAX_INTERVAL) if apart else finals}
