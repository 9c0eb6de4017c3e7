"""Finds the secrets in one text by the table of rules; the prefilter follows from the table."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.cards import CARD_DIGITS, find_cards, find_personal
from otel_ext.redaction.folding import fold, visible
from otel_ext.redaction.named import SHORT_STEMS, STEMS, Finder, find_named
from otel_ext.redaction.names import QUERY_NAMES
from otel_ext.redaction.place_rows import PLACE_ROWS
from otel_ext.redaction.rows import Row, Span, any_of
from otel_ext.redaction.token_rows import TOKEN_ROWS
from otel_ext.redaction.values import is_random

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS", "TRIGGERS", "find_secrets", "is_suspicious"]

ROWS: Final[tuple[Row, ...]] = (*TOKEN_ROWS, *PLACE_ROWS)
"""Each rule for a form, with its examples."""

MOST_LOOKED_AT: Final = 64
"""So many things that may be secrets are looked at in one text; the rest of it goes."""

_URL: Final = re.compile(r"//([^\s\"'<>@]{1,200})@")
_JWT: Final = re.compile(
    r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{7,4096}(?:\.|%2[eE])[A-Za-z0-9_.=-]{0,8192}"
)
_SCHEME: Final = re.compile(
    r"(?<![A-Za-z])(bearer|basic)(?:[ \t+]|%20){1,8}([A-Za-z0-9._~+/=-]{6,8192})",
    re.IGNORECASE | re.ASCII,
)
_PEM: Final = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}(?:-----)?")
_LONG_CREDENTIAL: Final = 20
_LONG_USER: Final = 16
_PORT_DIGITS: Final = 5


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
    free = {"eyj", "private key", "bearer", "basic", "@"}
    free |= {f"{name}=" for name in QUERY_NAMES} | set(_ENCODED)
    free |= {_literal(stem, single) for stem in STEMS}
    bordered = {f"^{_literal(stem, single)}" for stem in SHORT_STEMS}
    for row in ROWS:
        if row.is_token:
            bordered |= {f"^{one}" for one in row.literals}
        else:
            free |= set(row.literals)
    # One that has another within it tells nothing more.
    free = {one for one in free if not any(other != one and other in one for other in free)}
    return tuple(sorted(free | {one for one in bordered if not any(part in one for part in free)}))


TRIGGERS: Final = _triggers()
"""The prefilter: literals in small letters, for both languages."""

_TOKENS: Final = {literal: row for row in ROWS if row.is_token for literal in row.literals}
_PLACES: Final = tuple(row for row in ROWS if not row.is_token)
# Apart, each is searched for by the letters that it begins with.
_FREE: Final = re.compile(any_of(one for one in TRIGGERS if one[0] != "^"))
_BORDERED: Final = re.compile(
    any_of({*_TOKENS, *(one[1:] for one in TRIGGERS if one[0] == "^")}, border="(?<![a-z0-9]{})")
)
_NUMBER: Final = re.compile(rf"[2-6](?:(?:[ .+-]|%20)?[0-9]){{{CARD_DIGITS - 1}}}")


def is_suspicious(text: str) -> re.Match[str] | None:
    """Return what in `text` may begin a secret; None is certain."""
    folded = text.lower() if text.isascii() else fold(visible(text)[0])
    return _FREE.search(folded) or _BORDERED.search(folded) or _NUMBER.search(folded)


def find_secrets(text: str, finder: Finder, *, strict: bool = False) -> Iterator[Span]:
    """Yield the secrets in `text`, in no order; they may overlap.

    Args:
        text: Any text.
        finder: How names are judged.
        strict: Whether what only tells of a person counts too.

    >>> from otel_ext.redaction.names import rule_for_name
    >>> [span.rule for span in find_secrets("sent AKIAIOSFODNN7EXAMPLE", Finder(rule_for_name))]
    ['aws-key']
    """
    seen, kept = visible(text)
    for span in _find(seen, finder, strict):
        if kept is not None and span.end > span.start:
            yield Span(kept[span.start], kept[span.end - 1] + 1, span.rule)
        else:
            yield span


def _find(text: str, finder: Finder, strict: bool) -> Iterator[Span]:  # noqa: FBT001 - private
    folded = fold(text)
    for found, span in enumerate(_find_forms(text, folded, strict), 1):
        yield span
        if found > MOST_LOOKED_AT:
            yield Span(span.start, len(text), "too-many")
            break
    yield from find_named(text, folded, finder, MOST_LOOKED_AT)


def _find_forms(text: str, folded: str, strict: bool) -> Iterator[Span]:  # noqa: FBT001 - private
    rows = [row for row in _PLACES if any(map(folded.__contains__, row.literals))]
    begun = {match[0] for match in _BORDERED.finditer(folded)}
    rows += {_TOKENS[literal]: 0 for literal in begun if literal in _TOKENS}
    for row in rows:
        for match in row.form.finditer(text):
            start, end = match.span(match.lastindex or 0)
            if not row.is_random or _is_mixed(match[match.lastindex or 0]):
                yield Span(start, end, row.rule)
    if "eyj" in folded:
        for match in _JWT.finditer(text):
            yield Span(match.start(), match.end(), "jwt")
    if "private key" in folded:
        yield from _find_private_keys(text)
    if "bearer" in folded or "basic" in folded:
        yield from _find_credentials(text)
    if "@" in text and "//" in text:
        yield from _find_url_passwords(text)
    yield from find_cards(text)
    if strict:
        yield from find_personal(text)


def _is_mixed(value: str) -> bool:
    return is_random(value) and (value.lower() != value or "-" in value or not value.isalnum())


def _find_private_keys(text: str) -> Iterator[Span]:
    """Find keys in PEM; one without its end goes on to the end of the text, and vice versa."""
    begin = -1
    done = 0
    for match in _PEM.finditer(text):
        if match[1] == "BEGIN":
            begin = match.start() if begin < 0 else begin
        else:
            yield Span(max(begin, 0) if begin >= 0 else done, match.end(), "private-key")
            done, begin = match.end(), -1
    if begin >= 0:
        yield Span(begin, len(text), "private-key")


def _find_credentials(text: str) -> Iterator[Span]:
    for match in _SCHEME.finditer(text):
        given = match[2]
        if match[1].lower() == "basic":
            is_given = _holds_user(given)
        else:
            is_given = len(given) >= _LONG_CREDENTIAL or any(map(str.isdigit, given))
        if is_given:
            yield Span(match.start(2), match.end(2), "authorization")


def _holds_user(given: str) -> bool:
    """Whether `given` is base64 of `user:password` (RFC 7617), and not just a word."""
    plain = given.rstrip("=.")
    try:
        return b":" in base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_")
    except ValueError:
        return False


def _find_url_passwords(text: str) -> Iterator[Span]:
    """Find the passwords in URLs, and long user names, which are tokens.

    A password may hold `/`, `?` and `#`, which a URL should not have there: all up
    to the last `@` counts then. Without a scheme before `//` none of these counts.
    """
    for match in _URL.finditer(text):
        start, end = match.span(1)
        before = text[max(match.start() - 1, 0) : match.start()]
        if before.isalnum() or before == "/":
            continue
        user = match[1]
        border = re.search(r"[/?#]", user)
        authority = user[: border.start()] if border else user
        name, colon, password = authority.partition(":")
        if border and (not colon or before != ":" or _is_port(password)):
            continue
        if colon:
            rest = (
                re.compile(r"[^\s\"'<>@/?#]{0,200}@").match(text, end + 1)
                if before == ":"
                else None
            )
            if rest is not None and len(user) == len(authority):
                end = rest.end() - 1
            if len(name) >= _LONG_USER and _is_mixed(name):
                yield Span(start, start + len(name), "url-password")
            if password != "x-oauth-basic":  # noqa: S105 - a word of GitHub's
                yield Span(start + len(name) + 1, end, "url-password")
        elif before == ":" and len(user) >= _LONG_USER:
            yield Span(start, end, "url-password")


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= _PORT_DIGITS
