"""Finds the secrets in one text by the table of rules; the prefilter is computed from it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext._accel import load_speed
from otel_ext.redaction.rules.contexts import CONTEXT_ROWS, STRICT_ROWS
from otel_ext.redaction.rules.row import Row, Span, any_of
from otel_ext.redaction.rules.tokens import TOKEN_ROWS
from otel_ext.redaction.scan.assignments import (
    QUERY_ENDS,
    SHORT_STEMS,
    STEMS,
    NameRules,
    find_named,
)
from otel_ext.redaction.scan.cards import CARD_DIGITS, find_cards
from otel_ext.redaction.scan.folding import fold, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

__all__ = ["ROWS", "TRIGGERS", "find_secrets", "is_suspicious"]

ROWS: Final[tuple[Row, ...]] = (*TOKEN_ROWS, *CONTEXT_ROWS)
"""All rules for forms of secrets, with their examples."""

MAX_CANDIDATES: Final = 96
"""The most candidates checked in one text; with more, all of the text is redacted."""

MAX_ROWS: Final = 12
"""The most rows tried on one text; if it has the words of more, all of it is redacted."""

# A separator that is percent-encoded, once or several times.
_ENCODED: Final = ("%3d", "%3a", "%253", "%25253", "%2525253", "u0022")


def _literal(stem: str, stems: frozenset[str]) -> str:
    """Return a word that any text with the stem contains; one shared with others if possible."""
    words = stem.split()
    shared = [word for word in words if word in stems or word in {"key", "code"}]
    return max(shared or words, key=len)


def _triggers() -> tuple[str, ...]:
    """Return the literals of which a text must have one for any rule to find anything.

    Those that begin with `^` count only if no letter or digit precedes them.
    """
    single = frozenset(stem for stem in (*STEMS, *SHORT_STEMS) if " " not in stem)
    free = {*QUERY_ENDS, *_ENCODED}
    free |= {_literal(stem, single) for stem in STEMS}
    bordered = {_literal(stem, single) for stem in SHORT_STEMS}
    for row in ROWS:
        (bordered if row.tails else free).update(row.literals)
    # A literal that contains another one is redundant.
    free = {one for one in free if not any(other != one and other in one for other in free)}
    bordered = {one for one in bordered if not any(part in one for part in free)}
    return tuple(sorted((*free, *(f"^{one}" for one in bordered))))


TRIGGERS: Final = _triggers()
"""The prefilter's literals in lower case, for Python and the compiled part."""


def _trigger_pattern(triggers: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        any_of(
            {
                one.removeprefix("^"): f"(?<![a-z0-9]{re.escape(one[1:])})" if one[0] == "^" else ""
                for one in triggers
            }
        )
    )


@cache
def _any_trigger() -> re.Pattern[str]:
    """Return the expression for all triggers; the compiled part does not need it."""
    return _trigger_pattern(TRIGGERS)


_NUMBER: Final = re.compile(rf"[2-6](?:(?:[ .+-]|%20)?[0-9]){{{CARD_DIGITS - 1}}}")


def _tokens() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield each rule for tokens with one expression for all of its rows."""
    for rule in dict.fromkeys(row.rule for row in ROWS if row.tails):
        rows = [row for row in ROWS if row.rule == rule]
        tails = {literal: tail for row in rows for literal, tail in row.tails.items()}
        yield rule, re.compile(any_of(tails), re.ASCII)


class _ContextRow(NamedTuple):
    """A row that is tried only on texts with its words."""

    row: Row
    triggers: frozenset[int]


@cache
def _compiled(form: str) -> re.Pattern[str]:
    """Return the expression of a row, compiled when first needed; most never are."""
    return re.compile(form)


def _triggers_of(words: Iterable[str]) -> frozenset[int]:
    """Return the indexes in `TRIGGERS` of which any text with one of `words` has one."""
    joined = "\n".join(words)
    found = enumerate(one.removeprefix("^") for one in TRIGGERS)
    return frozenset(at for at, one in found if one in joined)


_TOKENS: Final = tuple(_tokens())
_CONTEXTS: Final = tuple(
    _ContextRow(row, _triggers_of(row.literals)) for row in ROWS if not row.tails
)
_STRICT: Final = tuple(_ContextRow(row, frozenset()) for row in STRICT_ROWS)
_TOKEN_TRIGGERS: Final = _triggers_of([one for row in ROWS if row.tails for one in row.literals])
_NAME_TRIGGERS: Final = _triggers_of([*STEMS, *SHORT_STEMS, *QUERY_ENDS, *_ENCODED])
_ALL_TRIGGERS: Final = frozenset(range(len(TRIGGERS)))
_NON_ASCII: Final = frozenset(at for at, one in enumerate(TRIGGERS) if not one.isascii())
_NON_ASCII_PATTERN: Final = _trigger_pattern(TRIGGERS[at] for at in sorted(_NON_ASCII))


def is_suspicious(text: str) -> re.Match[str] | list[int] | None:
    """Return what in `text` may begin a secret; None if it surely holds none."""
    folded = fold(visible(text)[0])
    triggers = _compiled_triggers(_to_ascii(folded))
    if triggers is None:
        return _any_trigger().search(folded) or _NUMBER.search(folded)
    if triggers:
        return triggers
    non_ascii = None if folded.isascii() else _NON_ASCII_PATTERN.search(folded)
    return non_ascii or _NUMBER.search(folded)


def find_secrets(text: str, name_rules: NameRules, *, strict: bool = False) -> Iterator[Span]:
    """Yield the secrets in `text`, in any order; they may overlap.

    Args:
        text: Any text.
        name_rules: How names are judged.
        strict: Whether personal data counts too.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> [span.rule for span in find_secrets("sent AKIAIOSFODNN7EXAMPLE", NameRules(rule_for_name))]
    ['aws-key']
    """
    seen, cuts = visible(text)
    for start, end, rule in _find(seen, name_rules, strict):
        # Shifted by the number of invisible characters removed before.
        yield Span(start + bisect_right(cuts, start), end + bisect_left(cuts, end), rule)


def _find(text: str, name_rules: NameRules, strict: bool) -> Iterator[Span]:  # noqa: FBT001 - private
    folded = fold(text)
    plain = _to_ascii(folded)
    triggers = _possible_triggers(plain)
    contexts = [
        one
        for one in _CONTEXTS
        if not triggers.isdisjoint(one.triggers) and any(map(plain.__contains__, one.row.literals))
    ]
    if strict:
        contexts += _STRICT
    candidates = _find_forms(text, triggers, contexts)
    tried = list(islice(candidates, MAX_CANDIDATES)) if len(contexts) <= MAX_ROWS else None
    if tried is None or next(candidates, None) is not None:
        # What was not tried might have found something anywhere.
        yield Span(0, len(text), "too-many")
        return
    yield from (span for span in tried if span.rule)
    yield from find_cards(text)
    if name_rules.judges_all or not triggers.isdisjoint(_NAME_TRIGGERS):
        yield from find_named(text, folded, name_rules)


def _possible_triggers(plain: str) -> AbstractSet[int]:
    """Return the indexes of the triggers that a text may have."""
    found = _compiled_triggers(plain)
    return _ALL_TRIGGERS if found is None else _NON_ASCII.union(found)


def _compiled_triggers(plain: str) -> list[int] | None:
    """Return the indexes of the ASCII triggers in a text; None without the compiled part."""
    speed = load_speed()
    found: list[int] | None = None if speed is None else speed.find_triggers(plain)
    return found


def _to_ascii(folded: str) -> str:
    """Return a text in ASCII; the expressions' borders do not count other characters either."""
    return folded if folded.isascii() else folded.encode("ascii", "replace").decode()


def _find_forms(
    text: str, triggers: AbstractSet[int], contexts: list[_ContextRow]
) -> Iterator[Span]:
    """Yield what has the form of a secret; with an empty rule if it turns out not to be one."""
    for rule, tokens in _TOKENS if not triggers.isdisjoint(_TOKEN_TRIGGERS) else ():
        for match in tokens.finditer(text):
            yield Span(*match.span(), rule)
    for row, _ in contexts:
        form = _compiled(row.form)
        for match in form.finditer(text):
            start, end = match.span(match.lastindex or 0)
            is_secret = (match.lastindex is not None or not form.groups) and (
                row.judge is None or row.judge(text[start:end])
            )
            yield Span(start, end, row.rule if is_secret else "")
