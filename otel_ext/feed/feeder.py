"""`Feeder`: stores what is recorded in a folder, as it comes."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.feed.reading import FolderReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_ext.feed.reading import ReadEntries
    from otel_ext.store.protocol import StoreWriter

__all__ = ["RECEIVED_FOLDER", "Fed", "Feeder", "feed_all"]

RECEIVED_FOLDER: Final = "received"
"""The folder in it for records that a server has received."""

# A batch is stored at once, in some hundredths of a second.
_BATCH_BYTES: Final = 4 * 1024 * 1024
_FORGET_SECONDS: Final = 60.0


class Fed(NamedTuple):
    """What one step has stored.

    Attributes:
        records: How many records were stored.
        size: How many bytes of files they take.
        skipped: How many damaged stretches were passed over.
        change: The number of the store's last change.
    """

    records: int
    size: int
    skipped: int
    change: int


class Feeder:
    """Stores the records of a folder, from where the store's writer has stopped.

    Args:
        folder: The folder of records.
        writer: Writes the store.
        below: As for `FolderReader`.
    """

    def __init__(self, folder: Path, writer: StoreWriter, *, below: str = "") -> None:
        self._writer = writer
        self._reader = FolderReader(folder, writer.positions(), below=below)
        self._unwritten: ReadEntries | None = None
        self._next_forget = 0.0

    def step(self) -> Fed:
        """Store what was added, but at most one batch; `size` is 0 if there was nothing.

        Raises:
            StoreError: It cannot be stored now; the next step tries the same again.
        """
        found = self._unwritten or self._reader.read(_BATCH_BYTES)
        self._unwritten = found
        change = self._writer.change
        if found.entries or found.positions:
            change = self._writer.write(found.entries, found.positions)
        self._unwritten = None
        if monotonic() >= self._next_forget:
            self._next_forget = monotonic() + _FORGET_SECONDS
            self._writer.forget()
        return Fed(found.records, found.size, found.skipped, change)

    def remaining(self) -> int:
        """Return how many bytes of the files are not stored yet."""
        return self._reader.remaining()


def feed_all(feeder: Feeder, progress: Callable[[int], object]) -> tuple[int, int]:
    """Store all records that there are.

    Args:
        feeder: Stores them.
        progress: Called with the number of bytes of each batch.

    Returns:
        How many records were stored, and how many damaged stretches were passed over.

    Raises:
        StoreError: They cannot be stored.
    """
    records = skipped = 0
    while True:
        fed = feeder.step()
        records += fed.records
        skipped += fed.skipped
        progress(fed.size)
        if not fed.size:
            return records, skipped
