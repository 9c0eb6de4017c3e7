"""What other packages see of a journal: its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["JournalState", "Mode"]

Mode = Literal["unopened", "mapped", "queued", "write", "closed"]


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
