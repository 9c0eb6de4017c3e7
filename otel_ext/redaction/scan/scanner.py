"""Finds the secrets in one text by the table of rules."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.rules.contexts import STRICT_ROWS
from otel_ext.redaction.rules.row import Span, any_of
from otel_ext.redaction.scan.assignments import find_named
from otel_ext.redaction.scan.cards import find_cards
from otel_ext.redaction.scan.folding import fold, visible
from otel_ext.redaction.scan.prefilter import (
    NAME_TRIGGERS,
    ROWS,
    possible_triggers,
    to_ascii,
    triggers_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from otel_ext.redaction.rules.row import Row

__all__ = ["find_secrets"]

MAX_CANDIDATES: Final = 96
"""The most candidates checked in one text; with more, all of the text is redacted."""

MAX_ROWS: Final = 12
"""The most rows tried on one text; if it has the words of more, all of it is redacted."""


@cache
def _compiled(form: str) -> re.Pattern[str]:
    """Return the expression of a row, compiled when first needed; most never are."""
    return re.compile(form)


def _tokens(rule: str) -> re.Pattern[str]:
    """Return one expression for all tokens of a rule."""
    rows = [row for row in ROWS if row.rule == rule]
    return re.compile(
        any_of({one: tail for row in rows for one, tail in row.tails.items()}), re.ASCII
    )


_TOKEN_ROWS: Final = tuple(row for row in ROWS if row.tails)
_TOKENS: Final = tuple(
    (rule, _tokens(rule)) for rule in dict.fromkeys(row.rule for row in _TOKEN_ROWS)
)
_TOKEN_TRIGGERS: Final = triggers_of(one for row in _TOKEN_ROWS for one in row.literals)
# Rows that are tried only on texts with their words.
_CONTEXTS: Final = tuple(row for row in ROWS if not row.tails)


def _contexts_by_trigger() -> dict[int, list[int]]:
    """Return the indexes in `_CONTEXTS` of the rows with a word, by that word's trigger."""
    made: dict[int, list[int]] = {}
    for index, row in enumerate(_CONTEXTS):
        for trigger in triggers_of(row.literals):
            made.setdefault(trigger, []).append(index)
    return made


_BY_TRIGGER: Final = _contexts_by_trigger()
_NO_ROWS: Final[list[int]] = []


def find_secrets(
    text: str, rule_for: Callable[[str], str], *, strict: bool = False, judges_all: bool = False
) -> Iterator[Span]:
    """Yield the secrets in `text`, in any order; they may overlap.

    Args:
        text: Any text.
        rule_for: Returns the rule by which a name's value is a secret; empty if it is not.
        strict: Whether personal data counts too.
        judges_all: Whether every name is judged, not only those of the table.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> [span.rule for span in find_secrets("sent AKIAIOSFODNN7EXAMPLE", rule_for_name)]
    ['aws-key']
    """
    seen, cuts = visible(text)
    folded = fold(seen)
    plain = to_ascii(folded)
    triggers = possible_triggers(plain, is_ascii=plain is folded)
    indexes = {index for one in triggers for index in _BY_TRIGGER.get(one, _NO_ROWS)}
    contexts = [
        row
        for row in map(_CONTEXTS.__getitem__, indexes)
        if any(map(plain.__contains__, row.literals))
    ]
    if strict:
        contexts += STRICT_ROWS
    candidates = _find_forms(seen, triggers, contexts)
    tried = list(islice(candidates, MAX_CANDIDATES)) if len(contexts) <= MAX_ROWS else None
    found: Iterable[Span]
    if tried is None or next(candidates, None) is not None:
        # What was not tried might have found something anywhere.
        found = (Span(0, len(seen), "too-many"),)
    else:
        found = chain((span for span in tried if span.rule), find_cards(seen))
        if not triggers.isdisjoint(NAME_TRIGGERS):
            found = chain(found, find_named(seen, folded, rule_for))
        if judges_all:
            found = chain(found, find_named(seen, folded, rule_for, judges_all=True))
    for start, end, rule in found:
        # Shifted by the number of invisible characters removed before.
        yield Span(start + bisect_right(cuts, start), end + bisect_left(cuts, end), rule)


def _find_forms(text: str, triggers: AbstractSet[int], contexts: list[Row]) -> Iterator[Span]:
    """Yield what has the form of a secret; with an empty rule if it turns out not to be one."""
    for rule, tokens in _TOKENS if not triggers.isdisjoint(_TOKEN_TRIGGERS) else ():
        for match in tokens.finditer(text):
            yield Span(*match.span(), rule)
    for row in contexts:
        form = _compiled(row.form)
        for match in form.finditer(text):
            start, end = match.span(match.lastindex or 0)
            is_secret = (match.lastindex is not None or not form.groups) and (
                row.judge is None or row.judge(text[start:end])
            )
            yield Span(start, end, row.rule if is_secret else "")
