"""`RecordStore`: what one destination does not take now, and what it never will.

Puts a spill folder to use: what waits is in `DIR/.spill/`, what is refused, with
the reason, in `DIR/.spill/poison/`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.persistent.queue import SpillFolder
from otel_ext.exporters.delivery.sending.splitting import Refused
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_ext.exporters.delivery.persistent.lines import Chunk
    from otel_ext.exporters.delivery.sending.splitting import Delivery
    from otel_ext.record.model import Record

__all__ = ["DEFAULT_SPILL_SIZE", "POISON_FOLDER", "SPILL_FOLDER", "RecordStore"]

SPILL_FOLDER: Final = ".spill"
POISON_FOLDER: Final = "poison"
DEFAULT_SPILL_SIZE: Final = 512 * 1024 * 1024

_MAX_POISON: Final = 16 * 1024 * 1024
_ADOPT_SECONDS: Final = 30.0
_LONGEST_REASON: Final = 1_000


class RecordStore:
    """Keeps records of one destination on disk.

    Args:
        folder: The folder of records, in which `.spill` is made when needed; None
            keeps nothing.
        name: The destination.
        max_bytes: What may wait, of all destinations of the folder together.
    """

    _next_adoption: float

    def __init__(self, folder: Path | None, name: str, max_bytes: int = DEFAULT_SPILL_SIZE) -> None:
        self._name = name
        self._spill: SpillFolder | None = None
        self._poison: SpillFolder | None = None
        if folder is not None:
            spill = folder / SPILL_FOLDER
            self._spill = SpillFolder(spill, name, max_bytes)
            self._poison = SpillFolder(spill / POISON_FOLDER, name, min(_MAX_POISON, max_bytes))
        self._cell = HealthCell(f"{name} spill", "nothing waits")
        self._begin_anew()
        after_fork_in_child(self._begin_anew)

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        return self._spill.waiting if self._spill is not None else 0

    def keep(self, records: Sequence[Record]) -> bool:
        """Keep records until they can be sent; whether that was possible."""
        if self._spill is None or not self._spill.append(records):
            return False
        COUNTERS.add("remote.spilled", len(records))
        self._say()
        return True

    def tick(self) -> None:
        """Sync what was written; now and then look for what dead processes have left."""
        if self._spill is None:
            return
        self._spill.sync()
        now = monotonic()
        if now >= self._next_adoption:
            self._next_adoption = now + _ADOPT_SECONDS
            if self._spill.adopt():
                self._say()

    def next_chunk(self) -> Chunk | None:
        """Return records to be sent next; None if none wait."""
        spill = self._spill
        if spill is None:
            return None
        while True:
            chunk = spill.next_chunk()
            if chunk is None or chunk.records:
                return chunk
            spill.done(chunk)  # nothing but facts of processes, or damage

    def settle_chunk(self, chunk: Chunk, delivery: Delivery, taken: int) -> int:
        """Take note of what became of records that came from disk.

        Args:
            chunk: As `next_chunk` returned it.
            delivery: What became of its records.
            taken: How many records of their kind the destination has taken up to now.

        Returns:
            How many of them were given up, since they have failed too often.
        """
        spill = self._spill
        given_up = 0
        if spill is None:
            return given_up
        COUNTERS.add("remote.replayed", delivery.sent)
        if delivery.rejected:
            COUNTERS.add("remote.refused", delivery.rejected)
            report_problem(f"{self._name}: records were refused", delivery.result.message)
        if delivery.maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(delivery.unsent))
        if not delivery.unsent:
            spill.done(chunk)
        elif len(delivery.unsent) < len(chunk.records):
            if spill.append(delivery.unsent):
                spill.done(chunk)
        elif delivery.refuses_all:
            chunk.file.suspect_since = taken
            spill.put_last(chunk.file)
        elif chunk.file.failed(taken):
            given_up = len(chunk.records)
            self.set_aside([Refused(record, delivery.result.message) for record in chunk.records])
            spill.done(chunk)
        else:
            spill.put_last(chunk.file)
        self._say()
        return given_up

    def set_aside(self, refused: Sequence[Refused]) -> None:
        """Put away records that the destination refuses, each with the reason."""
        if not refused:
            return
        COUNTERS.add("remote.poison", len(refused))
        where = "nowhere: they are lost"
        if self._poison is not None and self._poison.append(
            [
                one.record._replace(
                    extra={**one.record.extra, "refused": one.reason[:_LONGEST_REASON]}
                )
                for one in refused
            ]
        ):
            where = str(self._poison.folder)
        report_problem(
            f"{self._name}: what is refused for good is set aside in {where}",
            refused[0].reason,
        )

    def close(self) -> None:
        """Leave what waits to the next program. Twice is once."""
        for folder in (self._spill, self._poison):
            if folder is not None:
                folder.close()

    def _say(self) -> None:
        waiting = self.waiting
        if waiting:
            self._cell.degraded(f"{waiting} records wait on disk for their destination")
        else:
            self._cell.healthy("nothing waits")

    def _begin_anew(self) -> None:
        self._next_adoption = 0.0
