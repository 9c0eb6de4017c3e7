"""How much work one record may cost, and the marks for what is beyond.

Data of a program can be endless: a node that knows its parent, a list that holds
another one a million times over. Whoever walks it pays for each step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = [
    "CIRCULAR",
    "MAX_ITEMS",
    "TOO_DEEP",
    "TOO_MUCH",
    "WORK",
    "Budget",
    "left_out",
    "size_of",
    "unique",
]

MAX_ITEMS: Final = 100_000
"""So many items of one list or object are kept."""

WORK: Final = 2**18
"""What a record may cost; a number costs one, other values what their work is beside it."""

CIRCULAR: Final = "<circular>"
"""Stands in the place of a container inside itself."""

TOO_DEEP: Final = "<too deep>"
"""Stands in the place of a container that is nested too deep."""

TOO_MUCH: Final = "<left out: too many values>"
"""Stands in the place of a container that the record's budget did not reach."""

_NOTE: Final = re.compile("<left out: ([0-9]{1,18}|more) items>")


class Budget:
    """What may still be spent on one record.

    No value of the record gets all of it: an eighth is kept for those that follow,
    and when that is touched, three quarters of what is left.

    Args:
        left: What may be spent in all.

    Attributes:
        left: What is left. Whoever walks the data subtracts.
        floor: Where the value that is walked now has spent its share.

    >>> budget = Budget(800)
    >>> budget.share(), budget.floor
    (True, 100)
    """

    __slots__ = ("_kept", "floor", "left")

    def __init__(self, left: int = WORK) -> None:
        self.left = left
        self.floor = 0
        self._kept = left >> 3

    def share(self) -> bool:
        """Begin the next value of the record; False if nothing is left for it."""
        # A large text can cost more than the value had; the others bear half of that at most.
        left = self.left = max(self.left, self.floor >> 1)
        self.floor = min(self._kept, left - (left >> 2))
        return left > 0

    def goes_on(self) -> bool:
        """Whether the value that is walked now has not spent its share."""
        return self.left > self.floor


def size_of(container: object) -> int | None:
    """Return how many items there are; None where nobody can say.

    >>> size_of([1, 2]), size_of(range(10**30))
    (2, None)
    """
    try:
        return len(container)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a user's type may do anything
        return None


def left_out(size: int | None, kept: int, what: str, last: object = None) -> str:
    """Return the note on what of a container is not there.

    Args:
        size: How many items there are; None if nobody can say.
        kept: How many of them stay.
        what: The word for them.
        last: The last of those that do not stay, which may be such a note itself.

    >>> left_out(7, 5, "items"), left_out(None, 5, "items")
    ('<left out: 2 items>', '<left out: more items>')
    >>> left_out(7, 5, "items", "<left out: 100 items>")
    '<left out: 101 items>'
    """
    earlier = _NOTE.fullmatch(last) if isinstance(last, str) else None
    if earlier is not None and size is not None:
        size = None if earlier[1] == "more" else size - 1 + int(earlier[1])
    return f"<left out: {'more' if size is None or size <= kept else size - kept} {what}>"


def unique(name: str, names: Container[str], taken: dict[str, int]) -> str:
    """Return `name`, or where it is among `names` one like it that is not.

    Args:
        name: The text of a key.
        names: The keys that are there already.
        taken: What this function remembers of one container; empty at first.

    >>> unique("1", {"1", "1 (2)"}, {})
    '1 (3)'
    """
    found = name
    while found in names:
        number = taken[name] = taken.get(name, 1) + 1
        found = f"{name} ({number})"
    return found
