"""Which parts of a text are secrets by their form, whatever key they stand under.

Every rule passes a text once: it begins at a literal or a border that it meets
only once, goes on over characters it never comes back to, or over a fixed
number of them. So the time grows with the length of the text and nothing else.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MARK", "Span", "find_values", "is_card", "is_suspicious"]


class Span(NamedTuple):
    """A secret in a text: from where to where, by which rule."""

    start: int
    end: int
    rule: str


MARK: Final = re.compile(r"\[redacted: [a-z-]{1,32}(?: hmac:[0-9a-f]{32})?\]")
"""What stands in the place of a secret."""

# A quick look: what no rule could find anything in has none of these. Each begins with
# a character that ordinary texts have little of, since only those are stopped at.
_QUOTED_NAME: Final = r"[ \t\r\n]{0,4}[bu]?\\{0,7}[\"'][A-Za-z][A-Za-z0-9_.-]{0,63}\\{0,7}[\"'],"
_BEHIND_WORD: Final = r"(?:(?<=[dDyY][ \t\r\n(].)|(?<=[dDyY][ \t\r\n(][ \t\r\n\\].))"
is_suspicious: Final = re.compile(
    r"=|:|%(?:3|25)|J(?<=eyJ)|</"
    # An option, behind a space or a quote; or what is long enough for a token.
    r"|-(?:-|[\w-]{15}|(?<![!#-&(-~]-)[A-Za-z][A-Za-z0-9_.-]{0,63}[ \t\xa0\u2007\u202f\\\"'])"
    r"|_[\w-]{15}|\.(?:[\w-]{15}|com(?:/|%2[fF])(?:services|workflows|triggers|api))"
    rf"|\"{_BEHIND_WORD}|'{_BEHIND_WORD}|\({_QUOTED_NAME}|\[{_QUOTED_NAME}"
    r"|A(?:[A-Z]{2}A|Iza)|B(?:[eE][aA][rR]|[aA][sS][iI])|b(?:[eE][aA][rR]|[aA][sS][iI])"
    r"|2[0-9 -]{12}|3[0-9 -]{12}|4[0-9 -]{12}|5[0-9 -]{12}|6[0-9 -]{12}",
    re.ASCII,
).search
"""Whether a text may hold a secret by its form; False is certain."""

_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]*")
_JWT_REST: Final = re.compile(r"(?:\.|%2[eE])[A-Za-z0-9_.=-]*")
_JWT_LEAST: Final = 10
_SCHEME: Final = re.compile(
    r"(?<![A-Za-z])(bearer|basic)(?:[ \t+]|%20){1,8}([A-Za-z0-9._~+/=-]{6,})",
    re.IGNORECASE | re.ASCII,
)
_LONG_CREDENTIAL: Final = 20
_DIGIT: Final = re.compile(r"[0-9]")
# A border is looked for behind the first letter: a search that begins at letters is quick.
_AWS: Final = re.compile(
    r"A(?<![A-Za-z0-9]A)(?:KIA|SIA|BIA|CCA|GPA|IDA|NPA|NVA|PKA|ROA|SCA)[A-Z0-9]{16}"
    r"(?![A-Za-z0-9])"
)
_VENDOR: Final = re.compile(
    r"g(?<![A-Za-z0-9]g)(?:h[oprsu]_[A-Za-z0-9]{20,}|ithub_pat_\w{20,}|lpat-[\w-]{16,})"
    r"|x(?<![A-Za-z0-9]x)ox[abeoprs]-[\w-]{16,}"
    r"|s(?<![A-Za-z0-9]s)(?:k_(?:live|test)_\w{16,}|k-[\w-]{20,})"
    r"|p(?<![A-Za-z0-9]p)(?:k_(?:live|test)_\w{16,}|ypi-[\w-]{16,})"
    r"|r(?<![A-Za-z0-9]r)k_(?:live|test)_\w{16,}"
    r"|A(?<![A-Za-z0-9]A)Iza[\w-]{30,}"
    r"|n(?<![A-Za-z0-9]n)pm_[A-Za-z0-9]{30,}"
    r"|S(?<![A-Za-z0-9]S)G\.[\w-]{16,}(?:\.[\w-]*)?"
    r"|y(?<![A-Za-z0-9]y)a29\.[\w-]{20,}"
    r"|h(?<![A-Za-z0-9]h)(?:f_[A-Za-z0-9]{30,}|v[sbr]\.[\w-]{20,})"
    r"|d(?<![A-Za-z0-9]d)op_v1_[a-f0-9]{40,}"
    r"|w(?<![A-Za-z0-9]w)hsec_[A-Za-z0-9]{20,}",
    re.ASCII,
)
# Telegram: the number of a bot, and what lets it speak.
_BOT: Final = re.compile(r"(?<![0-9])[0-9]{6,12}(?::|%3[aA])[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")
_PEM_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_PEM_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}-----")
_DIGITS: Final = re.compile(
    r"2[0-9 -]{12}|3[0-9 -]{12}|4[0-9 -]{12}|5[0-9 -]{12}|6[0-9 -]{12}", re.ASCII
)
# Found from each place where a group of digits begins, so that others may stand before it.
_CARD: Final = re.compile(r"(?<![0-9A-Za-z_.])(?=([2-6][0-9]{3}(?:[ -]?[0-9]){9,15}))")
_CARD_FORMS: Final = re.compile(
    r"4[0-9]{15}|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|35[0-9]{14}|3(?:0[0-5]|[689][0-9])"
    r"[0-9]{11}|4[0-9]{12}|4[0-9]{18}"
)
_CARD_LENGTHS: Final = (16, 15, 14)
_STRICT_LENGTHS: Final = (19, 16, 15, 14, 13)
_EMAIL: Final = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)
_SSN: Final = re.compile(r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])")
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?"
)


def find_values(text: str, *, strict: bool = False) -> Iterator[Span]:
    """Yield the secrets that have a form of their own, in no order; they may overlap.

    Args:
        text: Any text.
        strict: Whether what only tells of a person counts too.

    >>> [span.rule for span in find_values("sent AKIAIOSFODNN7EXAMPLE")]
    ['aws-key']
    """
    if "eyJ" in text:
        yield from _find_jwts(text)
    if "PRIVATE KEY" in text:
        yield from _find_private_keys(text)
    lower = text.lower()
    if "bearer" in lower or "basic" in lower:
        yield from _find_credentials(text)
    for rule, pattern in (("aws-key", _AWS), ("api-key", _VENDOR), ("api-key", _BOT)):
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), rule)
    if _DIGITS.search(text):
        yield from _find_cards(text, _STRICT_LENGTHS if strict else _CARD_LENGTHS)
    if strict:
        for rule, pattern in (("email", _EMAIL), ("ssn", _SSN), ("iban", _IBAN)):
            for match in pattern.finditer(text):
                yield Span(match.start(), match.end(), rule)


def _find_jwts(text: str) -> Iterator[Span]:
    at = text.find("eyJ")
    while at >= 0:
        head = _JWT.match(text, at)
        end = head.end() if head else at + 1
        rest = _JWT_REST.match(text, end) if end - at >= _JWT_LEAST else None
        if rest is not None:
            end = rest.end()
            yield Span(at, end, "jwt")
        at = text.find("eyJ", end)


def _find_private_keys(text: str) -> Iterator[Span]:
    """Find keys in PEM; one without its end goes on to the end of the text, and vice versa."""
    at = 0
    while begin := _PEM_BEGIN.search(text, at):
        end = _PEM_END.search(text, begin.end())
        at = end.end() if end else len(text)
        yield Span(begin.start(), at, "private-key")
    if (end := _PEM_END.search(text, at)) is not None:
        yield Span(0, end.end(), "private-key")


def _find_credentials(text: str) -> Iterator[Span]:
    for match in _SCHEME.finditer(text):
        given = match[2]
        if match[1].lower() == "basic":
            is_secret = _holds_user(given)
        else:
            is_secret = len(given) >= _LONG_CREDENTIAL or _DIGIT.search(given) is not None
        if is_secret:
            yield Span(match.start(2), match.end(2), "authorization")


def _holds_user(given: str) -> bool:
    """Whether `given` is base64 of `user:password` (RFC 7617), and not just a word."""
    plain = given.rstrip("=.")
    try:
        return b":" in base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_")
    except ValueError:
        return False


def _find_cards(text: str, lengths: tuple[int, ...]) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        digits = [at for at, c in enumerate(match[1], match.start(1)) if c not in " -"]
        for length in lengths:
            if len(digits) < length:
                continue
            end = digits[length - 1] + 1
            following = text[end : end + 1]
            if following.isalnum() or following == "_":
                continue
            number = "".join(text[at] for at in digits[:length])
            if is_card(number):
                yield Span(match.start(1), end, "credit-card")
                break


def is_card(number: str) -> bool:
    """Whether `number` is that of a payment card: a known issuer's, and its check digit right.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    if _CARD_FORMS.fullmatch(number) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004 - Luhn's algorithm
    return total % 10 == 0
