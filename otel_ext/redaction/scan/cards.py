"""Finds the numbers of payment cards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.rules.row import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CARD_DIGITS",
    "CARD_GAPS",
    "LEAST_CARD",
    "MAYBE_CARD",
    "MOST_CARD",
    "find_cards",
    "is_card",
    "is_identifier",
]

CARD_DIGITS: Final = 13
"""The fewest digits of a card's number; a text without such a run is not searched."""

LEAST_CARD: Final = 10 ** (CARD_DIGITS - 1)
MOST_CARD: Final = 10**19
"""A card's number is less than this."""

CARD_GAPS: Final = " .+-%"
"""What may separate its digits: one of these characters, of which `%` begins `%20`."""

_GAP: Final = rf"(?:[{CARD_GAPS[:-1]}]|%20)"
MAYBE_CARD: Final = re.compile(rf"[2-6](?:{_GAP}?[0-9]){{{CARD_DIGITS - 1}}}")
"""Matches whatever may begin the number of a card."""

# Without gaps, or in the groups that are printed on a card.
_CARD: Final = re.compile(
    r"[2-6](?<![0-9A-Za-z_.].)(?:"
    rf"[0-9]{{3}}({_GAP})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1?[0-9]{{3}}(?![0-9]))?"
    rf"|[0-9]{{3}}({_GAP})[0-9]{{6}}\2[0-9]{{4,5}}"
    r"|[0-9]{12,18})(?![0-9A-Za-z_])"
)
_FORMS: Final = re.compile(
    r"4[0-9]{15}|4[0-9]{12}|4[0-9]{18}|(?:5[1-5][0-9]{2}|2[2-7][0-9]{2})[0-9]{12}|3[47][0-9]{13}"
    r"|6(?:011|2[0-9]{2}|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|35[0-9]{14}|3(?:0[0-5]|[689][0-9])[0-9]{11}"
)
MOST_NUMBERS: Final = 64
_RUN: Final = re.compile(rf"[0-9{re.escape(CARD_GAPS)}]*")
_NO_DIGIT: Final = re.compile(r"%20|[^0-9]")
# A number right after such a name is an identifier that passes the check by chance.
_IDENTIFIER: Final = re.compile(
    r"(?:(?<![a-z])(?:id|order|ref|trace|span|ts|time|epoch|seq|offset|invoice|tracking|request|job"
    r"|batch|message)|(?<=[a-z])Id)[\"']?\s{0,2}[:=#]?\s{0,2}[\"']?$",
    re.ASCII,
)
_NAMES_CARD: Final = re.compile(r"card|pan\b|credit|cc", re.IGNORECASE)
_BEFORE: Final = 24
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def find_cards(text: str) -> Iterator[Span]:
    """Yield the numbers of payment cards.

    >>> list(find_cards("paid by 4111.1111.1111.1111"))
    [Span(start=8, end=27, rule='credit-card')]
    """
    at, most = 0, MOST_NUMBERS
    while (match := _CARD.search(text, at)) is not None:
        start, end = match.span()
        at = start + 1  # the next match may overlap this one
        most -= 1
        if most < 0:
            # A text of nothing but numbers: those not checked must be redacted.
            run = _RUN.match(text, start)
            at = run.end() if run else end
            yield Span(start, at, "credit-card")
        elif is_card(_NO_DIGIT.sub("", match[0])) and not is_identifier(
            text[max(start - _BEFORE, 0) : start]
        ):
            at = end
            yield Span(start, end, "credit-card")


def is_identifier(name: str) -> bool:
    """Whether a number after `name`, with a separator or not, identifies something else.

    >>> is_identifier("order_id"), is_identifier("card_id"), is_identifier("paid by")
    (True, False, False)
    """
    name = name[-_BEFORE:]
    return _IDENTIFIER.search(name) is not None and _NAMES_CARD.search(name) is None


def is_card(number: str) -> bool:
    """Whether `number` is a payment card's: of a known issuer and with a valid check digit.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    if _FORMS.fullmatch(number) is None:
        return False
    digits = list(map(int, reversed(number)))
    return (sum(digits[::2]) + sum(_DOUBLED[digit] for digit in digits[1::2])) % 10 == 0
