"""Gives each journal of a process in a folder a number of its own.

Most programs have one exporter for a folder. If there are several, each has files and a
ring buffer of its own, named with this number, so that a reader finds the newest segment
of each. A number is used again after its journal was closed.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["claim_journal_number", "release_journal_number"]

# A forked child is another incarnation, so inherited entries have no effect.
_taken: Final[dict[tuple[Path, str, int], object]] = {}


def claim_journal_number(folder: Path, incarnation: str) -> int:
    """Return the lowest number that no other journal of the incarnation has in `folder`.

    >>> from pathlib import Path
    >>> [claim_journal_number(Path("/doctest"), "b0-7-1-00000000") for _ in range(2)]
    [0, 1]
    >>> release_journal_number(Path("/doctest"), "b0-7-1-00000000", 0)
    >>> claim_journal_number(Path("/doctest"), "b0-7-1-00000000")
    0
    """
    mine = object()
    # `setdefault` is one step of the interpreter, so two threads never get the same number.
    for number in count():
        if _taken.setdefault((folder, incarnation, number), mine) is mine:
            return number
    raise AssertionError  # pragma: no cover - there is always a higher number


def release_journal_number(folder: Path, incarnation: str, number: int) -> None:
    """Make the number free: its journal left nothing that a reader must find."""
    _taken.pop((folder, incarnation, number), None)
