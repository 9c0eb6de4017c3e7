"""Fills the placeholders in the table's examples: `~36` is 36 made-up letters and digits."""

from __future__ import annotations

import random
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_ext.redaction.rules.row import Row

__all__ = ["expand", "goes", "marked", "stays"]

_KINDS = {
    "": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "U": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase + string.digits,
}
_HOLE = re.compile(r"~([0-9]{1,3})([hUl]?)")


def marked(example: str) -> str:
    """Return an example with its placeholders filled, and `⟦` and `⟧` around the secret."""
    chosen = random.Random(example)

    def fill(match: re.Match[str]) -> str:
        made = "".join(chosen.choices(_KINDS[match[2]], k=int(match[1])))
        return f"{made[:-2]}7{'a' if match[2] in {'h', 'l'} else 'K'}" if len(made) > 4 else made

    return _HOLE.sub(fill, example)


def expand(example: str) -> str:
    """Return an example as a program would write it."""
    return marked(example).replace("⟦", "").replace("⟧", "")


def goes(row: Row) -> list[str]:
    """Return the row's examples with a secret."""
    return [one for one in row.examples if "⟦" in one]


def stays(row: Row) -> list[str]:
    """Return the row's harmless examples."""
    return [one for one in row.examples if "⟦" not in one]
