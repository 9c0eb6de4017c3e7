"""`Scheduler`: alternates between batches of final records and of events, so neither starves.

Otherwise a program that ends more spans than the destination accepts would never send
the starts of running spans: they would wait until their own ends replace them.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from otel_ext.exporters.delivery.batcher import Batch, Batcher

__all__ = ["BATCH_SIZE", "EVENTS_INTERVAL", "Scheduler"]

BATCH_SIZE: Final = 512
# How often a batch that is not full is sent, in seconds.
EVENTS_INTERVAL: Final = 0.2
_FINALS_INTERVAL: Final = 1.0


# What a batch contains: its signal, and whether that are final records.
_Kind: TypeAlias = "tuple[str, bool]"


class Scheduler:
    """Takes batches from a batcher: final records first, then each kind in turn.

    Args:
        batcher: Holds what is to be sent.
        signals: The signals of the destination, the most important first.
    """

    def __init__(self, batcher: Batcher, signals: Sequence[str] = ("",)) -> None:
        self._batcher = batcher
        self._kinds = [(signal, is_final) for is_final in (True, False) for signal in signals]
        # The kind of the last batch is the last.
        self._order = deque(self._kinds)
        # When a batch that is not full may be sent, by the monotonic clock.
        self._due = dict.fromkeys(self._kinds, 0.0)

    def restart(self) -> None:
        """Let final records be first, whatever the last batch was."""
        self._order = deque(self._kinds)

    def next(
        self, now: float, signals: Collection[str] = ("",), *, everything: bool
    ) -> Batch | None:
        """Return the next batch; None if nothing is due.

        Args:
            now: By the monotonic clock.
            signals: The signals that may be sent now.
            everything: Whether all records are due, also starts within their grace.
        """
        for kind in list(self._order):
            signal, is_final = kind
            if signal not in signals:
                continue
            take = self._finals if is_final else self._events
            batch = take(kind, now, everything=everything)
            if batch is not None:
                self._order.remove(kind)
                self._order.append(kind)
                return batch
        return None

    def _finals(self, kind: _Kind, now: float, *, everything: bool) -> Batch | None:
        waiting = self._batcher.finals_waiting(kind[0])
        is_due = waiting and (everything or now >= self._due[kind])
        if not is_due and waiting < BATCH_SIZE:
            return None
        batch = self._batcher.next_finals(BATCH_SIZE, kind[0])
        if not self._batcher.finals_waiting(kind[0]):
            self._due[kind] = now + _FINALS_INTERVAL
        return batch

    def _events(self, kind: _Kind, now: float, *, everything: bool) -> Batch | None:
        if not everything and now < self._due[kind]:
            return None
        batch = self._batcher.next_events(BATCH_SIZE, inf if everything else now, kind[0])
        if not self._batcher.events_waiting(kind[0]):
            self._due[kind] = now + EVENTS_INTERVAL
        return batch if batch.items else None
