"""`ReceivedJournal`: keeps what the server has received, before it says so to the sender."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.errors import JournalError
from otel_ext.journal.files import Target
from otel_ext.journal.recovery.retention import apply_retention
from otel_ext.journal.write.segment import SegmentWriter
from otel_ext.runtime.process import incarnation
from otel_ext.settings.units import MIB

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ReceivedJournal"]

_SEGMENT_BYTES: Final = 64 * MIB
_SYNC_SECONDS: Final = 1.0
_RETENTION_SECONDS: Final = 60.0


class ReceivedJournal:
    """Appends lines to files in a folder; safe to use from several threads.

    What was appended survives the death of the server; against a loss of power it is synced
    once a second.

    Args:
        folder: The folder; it is created when the first line comes.
        max_bytes: Total size above which the oldest files are deleted; 0 for no limit.
        max_age: Seconds after which files are deleted; 0 for no limit.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._lock = Lock()
        target = Target(folder, incarnation.current().id)
        self._writer = SegmentWriter(target, max_bytes=_SEGMENT_BYTES, sync="interval")
        self._next_sync = self._next_retention = 0.0

    def append(self, lines: bytes) -> None:
        """Append whole lines.

        Raises:
            JournalError: Not all of them are kept, as when the disk is full. They may come
                again: records that are there twice count once.
        """
        with self._lock:
            try:
                kept = self._writer.write(lines)
            except OSError as error:
                raise _error(self._folder, error.strerror or str(error)) from error
        if kept < len(lines):
            raise _error(self._folder, "No space left on device")

    def tend(self) -> None:
        """Sync what was appended, begin new files and delete old ones; called often."""
        now = monotonic()
        if now < self._next_sync:
            return
        self._next_sync = now + _SYNC_SECONDS
        with self._lock:
            self._writer.sync()
            self._writer.rotate_if_due()
        if now >= self._next_retention:
            self._next_retention = now + _RETENTION_SECONDS
            apply_retention(
                self._folder,
                max_bytes=self._max_bytes,
                max_age=self._max_age,
                current=self._writer.path,
            )

    def close(self) -> None:
        """Sync and close the file. Idempotent."""
        with self._lock:
            self._writer.close()


def _error(folder: Path, problem: str) -> JournalError:
    hint = "Make room on the disk; senders try again."
    return JournalError(f"{folder}: {problem}", hint=hint)
