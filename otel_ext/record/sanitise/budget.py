"""Limits how much work one record may cost, and the notes for what is left out.

A program's data can be endless: a node that refers to its parent, a list that holds
another one a million times. Code that walks it pays for each step.
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
"""The most items of one list or object that are kept."""

WORK: Final = 2**18
"""What a record may cost: a number costs one step, other values in proportion to their work."""

CIRCULAR: Final = "<circular>"
"""Replaces a container inside itself."""

TOO_DEEP: Final = "<too deep>"
"""Replaces a container that is nested too deep."""

TOO_MUCH: Final = "<left out: too many values>"
"""Replaces a container that the record's budget did not reach."""

_NOTE: Final = re.compile("<left out: ([0-9]{1,18}|more) items>")


class Budget:
    """The steps that may still be spent on one record.

    No value may spend all of it: an eighth is reserved for those that follow, and once
    less is left, three quarters of the rest.

    Args:
        left: The steps to spend in all.

    Attributes:
        left: The steps left. The code that walks the data subtracts from it.
        floor: The value of `left` at which the current value has spent its share.

    >>> budget = Budget(800)
    >>> budget.next_share(), budget.floor
    (True, 100)
    """

    __slots__ = ("_kept", "floor", "left")

    def __init__(self, left: int = WORK) -> None:
        self.left = left
        self.floor = 0
        self._kept = left >> 3

    def next_share(self) -> bool:
        """Start the next value of the record; False if nothing is left for it."""
        # One large text can overspend; at most half of that is taken from the others.
        left = self.left = max(self.left, self.floor >> 1)
        self.floor = min(self._kept, left - (left >> 2))
        return left > 0

    def has_share_left(self) -> bool:
        """Whether the current value has not spent its share."""
        return self.left > self.floor


def size_of(container: object) -> int | None:
    """Return how many items there are; None if `len` fails.

    >>> size_of([1, 2]), size_of(range(10**30))
    (2, None)
    """
    try:
        return len(container)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a user's type may raise anything
        return None


def left_out(size: int | None, kept: int, what: str, last: object = None) -> str:
    """Return the note that counts what is left out of a container.

    Args:
        size: How many items there are; None if unknown.
        kept: How many of them are kept.
        what: The word for them.
        last: The last one left out, which may be such a note itself.

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
    """Return `name`, with a number if it is already among `names`.

    Args:
        name: The text of a key.
        names: The keys used so far.
        taken: What this function remembers for one container; empty at first.

    >>> unique("1", {"1", "1 (2)"}, {})
    '1 (3)'
    """
    found = name
    while found in names:
        number = taken[name] = taken.get(name, 1) + 1
        found = f"{name} ({number})"
    return found
