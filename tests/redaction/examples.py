"""Fills the placeholders in the table's examples: `~36` is 36 made-up letters and digits."""

from __future__ import annotations

import random
import re
import string

__all__ = ["expand", "marked"]

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
