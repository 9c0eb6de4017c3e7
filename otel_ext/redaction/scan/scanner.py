"""Finds the secrets in one text by the table of rules; the prefilter follows from the table."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext._accel import load_speed
from otel_ext.redaction.rules.contexts import PLACE_ROWS, STRICT_ROWS
from otel_ext.redaction.rules.row import Row, Span, any_of
from otel_ext.redaction.rules.tokens import TOKEN_ROWS
from otel_ext.redaction.scan.assignments import QUERY_ENDS, SHORT_STEMS, STEMS, Finder, find_named
from otel_ext.redaction.scan.cards import CARD_DIGITS, find_cards
from otel_ext.redaction.scan.folding import fold, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

__all__ = ["ROWS", "TRIGGERS", "find_secrets", "is_suspicious"]

ROWS: Final[tuple[Row, ...]] = (*TOKEN_ROWS, *PLACE_ROWS)
"""Each rule for a form, with its examples."""

MOST_LOOKED_AT: Final = 96
"""So many things that have a form are looked at in one text; the rest of it goes."""

MOST_ROWS: Final = 12
"""So many rows are tried on one text; one with the words of more of them goes as a whole."""

# A separator that is percent-encoded, once or more often.
_ENCODED: Final = ("%3d", "%3a", "%253", "%25253", "%2525253", "u0022")


def _literal(stem: str, stems: frozenset[str]) -> str:
    """Return the word of a stem without which it is not in a text: one that others have too."""
    words = stem.split()
    shared = [word for word in words if word in stems or word in {"key", "code"}]
    return max(shared or words, key=len)


def _triggers() -> tuple[str, ...]:
    """Return what a text must have some of for any rule to find anything in it.

    Those with `^` in front count only where no letter or digit stands before them.
    """
    single = frozenset(stem for stem in (*STEMS, *SHORT_STEMS) if " " not in stem)
    free = {*QUERY_ENDS, *_ENCODED}
    free |= {_literal(stem, single) for stem in STEMS}
    bordered = {_literal(stem, single) for stem in SHORT_STEMS}
    for row in ROWS:
        (bordered if row.tails else free).update(row.literals)
    # One that has another within it tells nothing more.
    free = {one for one in free if not any(other != one and other in one for other in free)}
    bordered = {one for one in bordered if not any(part in one for part in free)}
    return tuple(sorted((*free, *(f"^{one}" for one in bordered))))


TRIGGERS: Final = _triggers()
"""The prefilter: literals in small letters, for both languages."""


def _any_of_triggers(triggers: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        any_of(
            {
                one.removeprefix("^"): f"(?<![a-z0-9]{re.escape(one[1:])})" if one[0] == "^" else ""
                for one in triggers
            }
        )
    )


@cache
def _any() -> re.Pattern[str]:
    """Return the expression for all triggers; the compiled part does without."""
    return _any_of_triggers(TRIGGERS)


_NUMBER: Final = re.compile(rf"[2-6](?:(?:[ .+-]|%20)?[0-9]){{{CARD_DIGITS - 1}}}")


def _tokens() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield each rule of tokens with one expression for all of its rows."""
    for rule in dict.fromkeys(row.rule for row in ROWS if row.tails):
        rows = [row for row in ROWS if row.rule == rule]
        tails = {literal: tail for row in rows for literal, tail in row.tails.items()}
        yield rule, re.compile(any_of(tails), re.ASCII)


class _Place(NamedTuple):
    """A row that is tried where a text has its words."""

    row: Row
    triggers: frozenset[int]


@cache
def _compiled(form: str) -> re.Pattern[str]:
    """Return the expression of a row, made when a text has its words: most never have."""
    return re.compile(form)


def _triggers_of(words: Iterable[str]) -> frozenset[int]:
    """Return the places in `TRIGGERS` without which a text has none of `words`."""
    joined = "\n".join(words)
    found = enumerate(one.removeprefix("^") for one in TRIGGERS)
    return frozenset(at for at, one in found if one in joined)


_TOKENS: Final = tuple(_tokens())
_PLACES: Final = tuple(_Place(row, _triggers_of(row.literals)) for row in ROWS if not row.tails)
_STRICT: Final = tuple(_Place(row, frozenset()) for row in STRICT_ROWS)
_OF_TOKENS: Final = _triggers_of([one for row in ROWS if row.tails for one in row.literals])
_OF_NAMES: Final = _triggers_of([*STEMS, *SHORT_STEMS, *QUERY_ENDS, *_ENCODED])
_EVERY: Final = frozenset(range(len(TRIGGERS)))
_FOREIGN: Final = frozenset(at for at, one in enumerate(TRIGGERS) if not one.isascii())
_FOREIGN_ONES: Final = _any_of_triggers(TRIGGERS[at] for at in sorted(_FOREIGN))


def is_suspicious(text: str) -> re.Match[str] | list[int] | None:
    """Return what in `text` may begin a secret; None is certain."""
    folded = fold(visible(text)[0])
    begun = _found(_plain(folded))
    if begun is None:
        return _any().search(folded) or _NUMBER.search(folded)
    if begun:
        return begun
    foreign = None if folded.isascii() else _FOREIGN_ONES.search(folded)
    return foreign or _NUMBER.search(folded)


def find_secrets(text: str, finder: Finder, *, strict: bool = False) -> Iterator[Span]:
    """Yield the secrets in `text`, in no order; they may overlap.

    Args:
        text: Any text.
        finder: How names are judged.
        strict: Whether what only tells of a person counts too.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> [span.rule for span in find_secrets("sent AKIAIOSFODNN7EXAMPLE", Finder(rule_for_name))]
    ['aws-key']
    """
    seen, cuts = visible(text)
    for start, end, rule in _find(seen, finder, strict):
        # As many characters further on as were left out before.
        yield Span(start + bisect_right(cuts, start), end + bisect_left(cuts, end), rule)


def _find(text: str, finder: Finder, strict: bool) -> Iterator[Span]:  # noqa: FBT001 - private
    folded = fold(text)
    plain = _plain(folded)
    begun = _begun(plain)
    places = [
        one
        for one in _PLACES
        if not begun.isdisjoint(one.triggers) and any(map(plain.__contains__, one.row.literals))
    ]
    if strict:
        places += _STRICT
    candidates = _find_forms(text, begun, places)
    looked_at = list(islice(candidates, MOST_LOOKED_AT)) if len(places) <= MOST_ROWS else None
    if looked_at is None or next(candidates, None) is not None:
        # What was not tried might find something anywhere.
        yield Span(0, len(text), "too-many")
        return
    yield from (span for span in looked_at if span.rule)
    yield from find_cards(text)
    if finder.finds_all or not begun.isdisjoint(_OF_NAMES):
        yield from find_named(text, folded, finder)


def _begun(plain: str) -> AbstractSet[int]:
    """Return the places of the triggers that a text may have."""
    found = _found(plain)
    return _EVERY if found is None else _FOREIGN.union(found)


def _found(plain: str) -> list[int] | None:
    """Return the places of the triggers in a text, in ASCII; None without the compiled part."""
    speed = load_speed()
    found: list[int] | None = None if speed is None else speed.find_triggers(plain)
    return found


def _plain(folded: str) -> str:
    """Return a text in ASCII; others are no letters, as behind the borders of the expressions."""
    return folded if folded.isascii() else folded.encode("ascii", "replace").decode()


def _find_forms(text: str, begun: AbstractSet[int], places: list[_Place]) -> Iterator[Span]:
    """Yield what has the form of a secret; with an empty rule where it is none after all."""
    for rule, tokens in _TOKENS if not begun.isdisjoint(_OF_TOKENS) else ():
        for match in tokens.finditer(text):
            yield Span(*match.span(), rule)
    for row, _ in places:
        form = _compiled(row.form)
        for match in form.finditer(text):
            start, end = match.span(match.lastindex or 0)
            is_secret = (match.lastindex is not None or not form.groups) and (
                row.judge is None or row.judge(text[start:end])
            )
            yield Span(start, end, row.rule if is_secret else "")
