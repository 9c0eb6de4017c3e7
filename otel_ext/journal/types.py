"""What a journal looks like from outside: the protocol of writers, and their state."""

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
        """Takes one line and says whether there was room; for any thread, at any time.

        Look it up for each line: it changes when the journal opens, forks or closes.
        """
        ...

    def flush(self, timeout_millis: int = 30_000) -> bool:
        """Bring all lines taken so far into the file; whether that was done in time."""
        ...

    def has_room(self, until: float) -> bool:
        """Wait until many more lines can be taken, or until then; whether they can."""
        ...

    def close(self, timeout: float = 2.0, *, unfinished: bool = False) -> bool:
        """Bring out what waits and stop, with more left for recovery or not. Twice is once."""
        ...


class JournalState(NamedTuple):
    """How a journal is, for `health()` and `doctor`.

    Attributes:
        mode: How lines leave the caller.
        reason: Why it is not the mode that was asked for; empty if it is.
        segment: The file that is written to; None before the first line is in it.
        pending: Bytes that wait for the file.
        problem: Why the file cannot be written at the moment, or only slowly; empty
            if all is well.
    """

    mode: Mode
    reason: str
    segment: Path | None
    pending: int
    problem: str
