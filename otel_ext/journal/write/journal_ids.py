"""Which journal of its process in a folder a journal is: the first one, or one beside it.

Most programs have one exporter for a folder. Where there are several, each has files
and a ring buffer of its own, told apart by this number, so that a reader finds the newest
segment of each. A number is given again when its journal was closed for good.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["claim_journal_number", "release_journal_number"]

# A forked child is another incarnation, so what it inherits here is of no concern to it.
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
    # One step of the interpreter: no lock, and no two threads get the same.
    for number in count():
        if _taken.setdefault((folder, incarnation, number), mine) is mine:
            return number
    raise AssertionError  # pragma: no cover - there is always a higher number


def release_journal_number(folder: Path, incarnation: str, number: int) -> None:
    """Let another journal have the number: this one left nothing that a reader must find."""
    _taken.pop((folder, incarnation, number), None)
