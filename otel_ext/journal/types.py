"""What other packages see of a journal: the protocol of a line writer, and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["JournalState", "LineWriter", "Mode"]

Mode = Literal["unopened", "mapped", "queued", "write", "closed"]


class LineWriter(Protocol):
    """Takes encoded lines; a refused line has been counted under `dropped.`."""

    @property
    def append(self) -> Callable[[bytes], bool]:
        """Takes one line and returns whether there was room; for any thread, at any time.

        Read the attribute for each line: it changes when the journal opens, forks or closes.
        """
        ...

    def flush(self, timeout_millis: int = 30_000) -> bool:
        """Write all lines taken so far to the file; return whether that was done in time."""
        ...

    def has_room(self, until: float) -> bool:
        """Wait until there is room for many lines, or until the time `until` (monotonic).

        Returns:
            Whether there is room.
        """
        ...

    def close(self, timeout: float = 2.0, *, unfinished: bool = False) -> bool:
        """Write what waits and stop. Idempotent.

        Args:
            timeout: Seconds.
            unfinished: Whether spans are left open, which recovery is to end.
        """
        ...


class JournalState(NamedTuple):
    """The state of a journal, for `health()` and `doctor`.

    Attributes:
        mode: How lines leave the caller.
        reason: Why it is not the configured mode; empty if it is.
        segment: The file that is written to; None before the first line is in it.
        pending: Bytes that wait to be written.
        problem: Why the file cannot be written now, or only slowly; empty if it can.
    """

    mode: Mode
    reason: str
    segment: Path | None
    pending: int
    problem: str
