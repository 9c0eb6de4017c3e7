"""`RecordStore`: the persistent queue and the dead letters of one destination.

Waiting records are in `DIR/.queue/`; refused ones, with the reason, in
`DIR/.queue/dead-letter/`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from otel_ext.exporters.delivery.sending.splitting import Refused
from otel_ext.exporters.delivery.settings import RemoteSettings
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

__all__ = [
    "DEAD_LETTER_FOLDER",
    "PERSISTENT_QUEUE_FOLDER",
    "RecordStore",
]

PERSISTENT_QUEUE_FOLDER: Final = ".queue"
DEAD_LETTER_FOLDER: Final = "dead-letter"

_MAX_DEAD_LETTERS: Final = 16 * 1024 * 1024
_ADOPT_SECONDS: Final = 30.0
_LONGEST_REASON: Final = 1_000


class RecordStore:
    """Keeps records of one destination on disk.

    Args:
        folder: The folder of records, in which `.queue` is created when needed; None
            keeps nothing.
        name: The destination.
        max_bytes: The maximum of bytes that wait, of all destinations of the folder.
    """

    _next_adoption: float

    def __init__(
        self,
        folder: Path | None,
        name: str,
        max_bytes: int = RemoteSettings.persistent_queue_size,
    ) -> None:
        self._name = name
        self._persistent_queue: PersistentQueue | None = None
        self._dead_letter: PersistentQueue | None = None
        if folder is not None:
            persistent_queue = folder / PERSISTENT_QUEUE_FOLDER
            self._persistent_queue = PersistentQueue(persistent_queue, name, max_bytes)
            self._dead_letter = PersistentQueue(
                persistent_queue / DEAD_LETTER_FOLDER, name, min(_MAX_DEAD_LETTERS, max_bytes)
            )
        self._health = HealthCell(f"{name} persistent queue", "nothing waits")
        self._reset()
        after_fork_in_child(self._reset)

    @property
    def waiting(self) -> int:
        """How many records wait on disk."""
        return self._persistent_queue.waiting if self._persistent_queue is not None else 0

    def append(self, records: Sequence[Record]) -> bool:
        """Keep records on disk until they can be sent; whether that was possible."""
        if self._persistent_queue is None or not self._persistent_queue.append(records):
            return False
        COUNTERS.add("remote.persisted", len(records))
        self._report_health()
        return True

    def maintain(self) -> None:
        """Sync what was written, and every 30 seconds take over files of dead processes."""
        if self._persistent_queue is None:
            return
        self._persistent_queue.sync()
        now = monotonic()
        if now >= self._next_adoption:
            self._next_adoption = now + _ADOPT_SECONDS
            if self._persistent_queue.adopt():
                self._report_health()

    def next_chunk(self) -> Chunk | None:
        """Return the next records to send; None if none wait."""
        persistent_queue = self._persistent_queue
        if persistent_queue is None:
            return None
        while True:
            chunk = persistent_queue.next_chunk()
            if chunk is None or chunk.records:
                return chunk
            persistent_queue.done(chunk)  # only facts of processes, or damaged lines

    def finish_chunk(self, chunk: Chunk, delivery: Delivery, taken: int) -> int:
        """Process the outcome of sending records from disk.

        Args:
            chunk: A chunk that `next_chunk` returned.
            delivery: The outcome for its records.
            taken: How many records of their kind the destination has accepted so far.

        Returns:
            How many records were given up, since they have failed too often.
        """
        persistent_queue = self._persistent_queue
        given_up = 0
        if persistent_queue is None:
            return given_up
        COUNTERS.add("remote.replayed", delivery.sent)
        if delivery.rejected:
            COUNTERS.add("remote.refused", delivery.rejected)
            report_problem(f"{self._name}: records were refused", delivery.result.message)
        if delivery.maybe_sent:
            COUNTERS.add("remote.maybe_twice", len(delivery.unsent))
        if not delivery.unsent:
            persistent_queue.done(chunk)
        elif len(delivery.unsent) < len(chunk.records):
            if persistent_queue.append(delivery.unsent):
                persistent_queue.done(chunk)
        elif delivery.refuses_all:
            chunk.file.taken_when_refused = taken
            persistent_queue.move_to_end(chunk.file)
        elif chunk.file.note_failure(taken):
            given_up = len(chunk.records)
            self.add_dead_letters(
                [Refused(record, delivery.result.message) for record in chunk.records]
            )
            persistent_queue.done(chunk)
        else:
            persistent_queue.move_to_end(chunk.file)
        self._report_health()
        return given_up

    def add_dead_letters(self, refused: Sequence[Refused]) -> None:
        """Store records that the destination refuses, each with the reason."""
        if not refused:
            return
        COUNTERS.add("remote.dead_letters", len(refused))
        where = "nowhere: they are lost"
        if self._dead_letter is not None and self._dead_letter.append(
            [
                one.record._replace(
                    extra={**one.record.extra, "refused": one.reason[:_LONGEST_REASON]}
                )
                for one in refused
            ]
        ):
            where = str(self._dead_letter.folder)
        report_problem(
            f"{self._name}: records that are refused for good are set aside in {where}",
            refused[0].reason,
        )

    def close(self) -> None:
        """Leave the files to the next program. Idempotent."""
        for folder in (self._persistent_queue, self._dead_letter):
            if folder is not None:
                folder.close()

    def _report_health(self) -> None:
        waiting = self.waiting
        if waiting:
            self._health.degraded(f"{waiting} records wait on disk for their destination")
        else:
            self._health.healthy("nothing waits")

    def _reset(self) -> None:
        self._next_adoption = 0.0
