r"""Finds where the value after a name begins and ends, however it is written.

In quotes of any kind, in brackets, in a call such as `SecretStr('…')`, percent-encoded
as in a URL inside another, or bare. All searches go forwards, and callers continue after
the value, so that the time is proportional to the text.
"""

from __future__ import annotations

import re
from typing import Final

from otel_ext.redaction.masks import MARK_BEGIN

__all__ = ["BLANKS", "LEVELS", "QUOTE", "value_after"]

BLANKS: Final = " \t\xa0\u2007\u202f"
"""Spaces that may surround a separator, no-break spaces included."""

# In UTF-8 bytes read as Latin-1, a no-break space follows the byte C2.
_SPACE: Final = re.compile(rf"(?:[{BLANKS}]|\xc2(?=\xa0)){{0,8}}")
QUOTE: Final = re.compile(
    r"""(?<!\\)(\\{0,7}["'])(?:\1\1|\1(?![\s,;:)\]}&<>"'\\]|$))?""",
)
"""Opening quotes: one, three as in Python, or two as in CSV right before a text."""

_TRIPLE: Final = 3
# A value with more parts, or more brackets and quotes, extends to the end of the text.
_MOST_STEPS: Final = 16
_MOST_TOKENS: Final = 256
_OPENING: Final = frozenset("([{")
_BRACKETS: Final = frozenset("()[]{}")
_PREFIX: Final = re.compile(r"[rbufn]{1,2}(?=\\{0,7}[\"'])", re.IGNORECASE)
_INSIDE: Final = {
    quote: re.compile(rf"[^\\{quote}]*(?:(?:\\.|{quote}{quote})[^\\{quote}]*)*", re.DOTALL)
    for quote in "'\""
}
_PLAIN: Final = re.compile(r"[^\s&;\"'<>]+")
_CHAIN: Final = re.compile(r"\.(?=[A-Za-z_])|\(")
# What continues a value: `password: str = '…'`, `token = x or '…'`, `"Bearer " + "…"`.
_MORE: Final = re.compile(
    r"[ \t]{0,8}=(?!=)[ \t]{0,8}(?=\S)"
    r"|(?:(?<==)|[ \t]{1,8}(?:or|\+|\|\||\?\?)[ \t]{1,8})(?=[rbufRBUF]{0,2}\\{0,7}[\"'])"
)
_IN_CALL: Final = re.compile(r"""[()\n]|(?<!\w)[rbufRBUF]{0,2}(?=\\{0,7}["'])""")
_IN_BRACKETS: Final = re.compile(r"""[\[\]{}]|(?<!\w)[rbufRBUF]{0,2}(?=\\{0,7}["'])""")


def value_after(text: str, at: int, until: str = "", level: str = "") -> tuple[int, int]:
    """Return start and end of the value after a separator; equal if it is empty.

    Args:
        text: The text.
        at: Where the value begins.
        until: What ends an unquoted value; empty for the usual ends of a word.
        level: How a percent-encoded separator begins: `%`, `%25`, and so on.

    >>> text = "password = os.environ.get('PW', 'hunter2'), 1"
    >>> text[slice(*value_after(text, 10))]
    "os.environ.get('PW', 'hunter2')"
    """
    if level:
        start, end = _encoded(text, at, level, until)
    else:
        start, end, after = _part(text, at, until)
        is_quoted = after > end
        for _ in range(_MOST_STEPS):
            more = _MORE.match(text, after)
            if more is None:
                break
            _, end, after = _part(text, more.end(), "")
            if not is_quoted:
                end = after  # includes the closing quotes of the last part
        else:
            end = len(text)
    return start, end


def _part(text: str, at: int, until: str) -> tuple[int, int, int]:
    """Return start and end of a value, and where the text continues after it."""
    space = _SPACE.match(text, at)
    at = space.end() if space else at
    prefix = _PREFIX.match(text, at)
    at = prefix.end() if prefix else at
    quote = QUOTE.match(text, at)
    if quote is not None:
        start, end = quoted(text, quote)
        return start, end, min(end + len(quote[0]), len(text))
    if text[at : at + 1] in {"{", "["}:
        end = _closing(text, at, _IN_BRACKETS)
    elif until:
        end = text.find(until, at)
        end = len(text) if end < 0 else end
    else:
        end = _plain(text, at)
    return at, end, end


def _plain(text: str, at: int) -> int:
    """Return where an unquoted value ends; a call ends at its bracket, or with its line."""
    word = _PLAIN.match(text, at)
    end = word.end() if word else at
    for _ in range(_MOST_STEPS):
        depth = text.count("(", at, end) - text.count(")", at, end)
        if depth <= 0:
            return end
        end = _closing(text, end, _IN_CALL, depth)
        word = _PLAIN.match(text, end) if _CHAIN.match(text, end) else None
        if word is None:
            return end
        at, end = end, word.end()
    return len(text)


def _closing(text: str, at: int, tokens: re.Pattern[str], depth: int = 0) -> int:
    """Return where the bracket is closed; if it is not, the end of line or text."""
    for _ in range(_MOST_TOKENS):
        token = tokens.search(text, at)
        if token is None:
            break
        at = token.end()
        found = token[0]
        if found == "\n":
            return token.start()
        quote = None if found in _BRACKETS else QUOTE.match(text, at)
        if quote is not None:
            start, end = quoted(text, quote)
            is_triple = len(quote[0]) == _TRIPLE * len(quote[1])
            if tokens is _IN_CALL and not is_triple:
                line = text.find("\n", start, end)
                if line >= 0:
                    return line
            at = end + len(quote[0])
            continue
        depth += 1 if found in _OPENING else -1
        if depth <= 0:
            return at
    return len(text)


def quoted(text: str, quote: re.Match[str]) -> tuple[int, int]:
    r"""Return the inside of a text in quotes, which may be escaped themselves.

    Args:
        text: The text.
        quote: The match of `QUOTE` that opens it.

    >>> text = r"'it\'s', 2"
    >>> quoted(text, QUOTE.match(text))
    (1, 6)
    """
    opening = quote[0]
    start = quote.end()
    if len(opening) == 1:
        # SQL escapes a quote by another.
        inside = _INSIDE[opening].match(text, start)
        end = inside.end() if inside else start
        return start, end if text.startswith(opening, end) else len(text)
    found = text.find(opening, start)
    for _ in range(_MOST_TOKENS):
        # A quote with more backslashes belongs to a text nested inside.
        if found < 0 or opening[0] != "\\" or found == start or text[found - 1] != "\\":
            break
        found = text.find(opening, found + len(opening))
    else:
        found = -1
    return start, found if found >= 0 else len(text)


LEVELS: Final = ("%", "%25", "%2525", "%252525")
"""How a percent-encoded character begins, from once to four times encoded."""


def _encoded(text: str, at: int, level: str, until: str) -> tuple[int, int]:
    """Return start and end of a value in percent-encoded text.

    An `&` inside the value would be encoded once more than the one that ends it.
    """
    skipped, opening, ends = _ENCODED_ENDS[level]
    blanks = skipped.match(text, at)
    start = blanks.end() if blanks else at
    quote = opening.match(text, start)
    start = quote.end() if quote else start
    found = ends["quoted" if quote else "line" if until else "word"].search(text, start)
    return start, found.start() if found else len(text)


def _ends_at(level: str) -> tuple[re.Pattern[str], re.Pattern[str], dict[str, re.Pattern[str]]]:
    """Return the expressions for blanks, an opening quote, and the end of each kind of value."""
    ends = {"word": "26|3[bB]|0[aAdD]|2[27]", "line": "26|0[aAdD]|2[27]", "quoted": "2[27]"}
    bare = rf"""|[\s&;"'<>]|{re.escape(MARK_BEGIN)}"""
    return (
        re.compile(rf"(?:{level}(?:20|09|0[aAdD])|\+){{0,8}}"),
        re.compile(rf"{level}2[27]"),
        {kind: re.compile(rf"{level}(?:{end}){bare}") for kind, end in ends.items()},
    )


_ENCODED_ENDS: Final = {level: _ends_at(level) for level in LEVELS}
