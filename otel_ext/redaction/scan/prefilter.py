"""The prefilter: literals, computed from the table, of which a text with a secret has one."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from otel_ext._accel import load_speed
from otel_ext.redaction.rules.contexts import CONTEXT_ROWS
from otel_ext.redaction.rules.row import any_of
from otel_ext.redaction.rules.tokens import TOKEN_ROWS
from otel_ext.redaction.scan.assignments import APART, QUERY_ENDS, SHORT_STEMS, STEMS
from otel_ext.redaction.scan.cards import CARD_DIGITS, CARD_GAPS, MAYBE_CARD
from otel_ext.redaction.scan.folding import fold, visible
from otel_ext.redaction.scan.value_ends import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from otel_ext.redaction.rules.row import Row

__all__ = [
    "NAME_TRIGGERS",
    "ROWS",
    "TRIGGERS",
    "compiled_prefilter",
    "is_suspicious",
    "possible_triggers",
    "to_ascii",
    "triggers_of",
]

ROWS: Final[tuple[Row, ...]] = (*TOKEN_ROWS, *CONTEXT_ROWS)
"""All rules for forms of secrets, with their examples."""

# A separator that is percent-encoded, once or several times, or a quote in JSON.
_ENCODED: Final = ("%3d", "%3a", "u0022", *(f"{level}3" for level in LEVELS[1:]))
_NAMES: Final = (*STEMS, *SHORT_STEMS)
# What may stand between two words of a name, and how much of the first one a literal has: so
# `raise KeyError` is not taken for a `license key`.
_BETWEEN: Final = ("", *APART)
_KEPT: Final = 3


def _literals(stem: str) -> tuple[str, ...]:
    """Return literals of which any text with the stem has one; shared with others if possible."""
    first, *rest = words = stem.split()
    shared = [word for word in words if word in STEMS]
    if shared or not rest:
        return (max(shared or words, key=len),)
    return tuple(f"{first[-_KEPT:]}{between}{rest[0]}" for between in _BETWEEN)


_NAME_LITERALS: Final = frozenset(one for stem in STEMS for one in _literals(stem))


def _triggers() -> tuple[str, ...]:
    """Return the literals of which a text must have one for any rule to find anything.

    Those that begin with `^` count only if no letter or digit precedes them.
    """
    free = {*QUERY_ENDS, *_ENCODED, *_NAME_LITERALS}
    bordered = set(SHORT_STEMS)
    for row in ROWS:
        (bordered if row.tails else free).update(row.literals)
    # A literal that contains another one is redundant.
    free = {one for one in free if not any(other != one and other in one for other in free)}
    bordered = {one for one in bordered if not any(part in one for part in free)}
    return tuple(sorted((*free, *(f"^{one}" for one in bordered))))


TRIGGERS: Final = _triggers()
"""The prefilter's literals in lower case, for Python and the compiled part."""


def triggers_of(words: Iterable[str]) -> frozenset[int]:
    """Return the indexes in `TRIGGERS` of which any text with one of `words` has one."""
    joined = "\n".join(words)
    found = enumerate(one.removeprefix("^") for one in TRIGGERS)
    return frozenset(at for at, one in found if one in joined)


NAME_TRIGGERS: Final = triggers_of([*_NAMES, *_NAME_LITERALS, *QUERY_ENDS, *_ENCODED])
"""The indexes of those without which no name of a secret is found."""

_ALL: Final = frozenset(range(len(TRIGGERS)))
_NON_ASCII: Final = frozenset(at for at, one in enumerate(TRIGGERS) if not one.isascii())


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    """Return the expression for `all` triggers, or only for those `not ascii`."""
    chosen = [one for one in TRIGGERS if kind == "all" or not one.isascii()]
    tails = {
        one.removeprefix("^"): f"(?<![a-z0-9]{re.escape(one[1:])})" if one[0] == "^" else ""
        for one in chosen
    }
    return re.compile(any_of(tails))


def compiled_prefilter() -> Callable[[str], bool] | None:
    """Return the compiled check that a text is surely harmless; None without the compiled part.

    Compiles all that the prefilter needs, so that this is done before any span.
    """
    speed = load_speed()
    if speed is not None:
        speed.learn_triggers(TRIGGERS, CARD_DIGITS, CARD_GAPS)
    is_suspicious("")
    is_suspicious("é")
    return None if speed is None else speed.is_harmless


def is_suspicious(text: str) -> re.Match[str] | list[int] | None:
    """Return what in `text` may begin a secret; None if it surely holds none."""
    is_ascii = text.isascii()
    folded = text.lower() if is_ascii else fold(visible(text)[0])
    found = _compiled_triggers(folded if is_ascii else to_ascii(folded))
    if found:
        return found
    if found is None or not is_ascii:
        other = _pattern("all" if found is None else "not ascii").search(folded)
        if other is not None:
            return other
    return MAYBE_CARD.search(folded)


def possible_triggers(plain: str, *, is_ascii: bool) -> AbstractSet[int]:
    """Return the indexes of the triggers that a text may have.

    Args:
        plain: The text, from `to_ascii`.
        is_ascii: Whether that changed nothing.
    """
    found = _compiled_triggers(plain)
    if found is None:
        return _ALL
    return frozenset(found) if is_ascii else _NON_ASCII.union(found)


def to_ascii(folded: str) -> str:
    """Return a text in ASCII; the expressions' borders do not count other characters either."""
    return folded if folded.isascii() else folded.encode("ascii", "replace").decode()


def _compiled_triggers(plain: str) -> list[int] | None:
    """Return the indexes of the ASCII triggers in a text; None without the compiled part."""
    speed = load_speed()
    found: list[int] | None = None if speed is None else speed.find_triggers(plain)
    return found
