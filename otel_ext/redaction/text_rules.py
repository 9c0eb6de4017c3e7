r"""Which parts of a text are secrets by what stands before them.

`password=…` and `"token": "…"` in whatever notation (queries, connection strings,
JSON, headers, command lines, sources in a stack trace), and what stands between a
user's name and the `@` of a URL. One pass each, like `otel_ext.redaction.value_rules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.key_rules import QUERY_NAMES
from otel_ext.redaction.value_rules import MARK, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find_assigned", "find_flags", "find_url_passwords"]

_SEPARATOR: Final = re.compile(r"=(?:>|==?)?|:(?:=|(?!//))|%3[dD]")
_NAME_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_BEHIND_NAME: Final = " \t\"'\\])"
_LONGEST_NAME: Final = 128
_SPACE: Final = re.compile(r"[ \t]{0,8}")
_QUOTE: Final = re.compile(r"\\{0,7}[\"']")
_PREFIX: Final = re.compile(r"[rbuf]{1,2}(?=[\"'])", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[^\s&;\"'<>]+")
_BRACKET: Final = re.compile(r"[\[\]{}]")
_NOTHING: Final = re.compile(
    r"(?:null|none|nil|true|false|undefined|\*{3,})(?![A-Za-z0-9_])", re.IGNORECASE
)
# What goes on to the end of its line where it is not in quotes.
_WHOLE_LINE: Final = frozenset({"authorization", "cookie"})
_LEAST_IN_QUERY: Final = 10
_SHORT_IN_QUERY: Final = frozenset({"key", "code"})

_FLAG: Final = re.compile(r"(?<!\S)--?([A-Za-z][A-Za-z0-9_.-]{0,63})[ \t]{1,4}([^\s-]\S*)")

_AUTHORITY: Final = re.compile(r"[^\s/?#\"'<>]*")
_TOKEN: Final = re.compile(r"[^\s\"'<>]*")
_LONG_USER: Final = 16
_PORT_DIGITS: Final = 5


def find_assigned(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield the values that stand behind a name that tells a secret.

    Args:
        text: Any text.
        rule_for: Tells the rule by which a name's value is a secret; empty if it is none.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> [text := "GET /?page=2&token=abc", *find_assigned(text, rule_for_name)][1:]
    [Span(start=19, end=22, rule='token')]
    """
    done = 0
    for separator in _SEPARATOR.finditer(text):
        at = separator.start()
        if at < done:
            continue
        name, before = _name_before(text, max(done, at - _LONGEST_NAME), at)
        if not name:
            continue
        rule = rule_for(name)
        last_word = name.lower().rpartition("-")[2]
        by_query = not rule and before in "?&;" and last_word in QUERY_NAMES
        if not rule and not by_query:
            continue
        # A header in quotes ends where they do.
        until = before if before in "\"'" else "\n"
        start, end = _value_behind(text, separator.end(), until if rule in _WHOLE_LINE else "")
        done = end
        if by_query:
            if last_word in _SHORT_IN_QUERY and end - start < _LEAST_IN_QUERY:
                continue
            rule = "url-query"
        if end > start:
            yield Span(start, end, rule)


def _name_before(text: str, least: int, at: int) -> tuple[str, str]:
    """Return the name that ends before `at`, and the character before it."""
    left = text[least:at].rstrip(_BEHIND_NAME)
    rest = left.rstrip(_NAME_CHARACTERS)
    return left[len(rest) :], rest[-1:] or "?"


def _value_behind(text: str, at: int, until: str) -> tuple[int, int]:
    """Return from where to where the value behind a separator goes; nothing for no secret.

    Args:
        text: The text.
        at: Where the value begins.
        until: What ends a value without quotes; empty for the usual ends of a word.
    """
    space = _SPACE.match(text, at)
    at = space.end() if space else at
    prefix = _PREFIX.match(text, at)
    at = prefix.end() if prefix else at
    quote = _QUOTE.match(text, at)
    if quote is not None:
        start, end = _quoted(text, quote)
    elif text[at : at + 1] in {"{", "["} and not MARK.match(text, at):
        start, end = at, _closing(text, at)
    elif until and not MARK.match(text, at):
        start, end = at, text.find(until, at)
        end = len(text) if end < 0 else end
    else:
        match = MARK.match(text, at) or _PLAIN.match(text, at)
        start, end = at, match.end() if match else at
    mark = MARK.match(text, start)
    if mark is not None and mark.end() == end:
        return end, end
    nothing = _NOTHING.match(text, start)
    if nothing is not None and not text[nothing.end() : end].strip(" ,)]}"):
        return end, end
    return start, end


def _quoted(text: str, quote: re.Match[str]) -> tuple[int, int]:
    """Return the inside of a text in quotes, which may be escaped themselves."""
    opening = quote[0]
    start = quote.end()
    found = text.find(opening, start)
    while found >= 0:
        # Within plain quotes one that is escaped does not close; backslashes escape each other.
        behind = found
        while behind > start and text[behind - 1] == "\\":
            behind -= 1
        if (found - behind) % 2 == 0 or len(opening) > 1:
            return start, found
        found = text.find(opening, found + 1)
    return start, len(text)


def _closing(text: str, at: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, at):
        depth += 1 if bracket[0] in "{[" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def find_flags(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield what follows an option of a command that tells a secret: `--password …`.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> list(find_flags("mysql --password hunter2 -v", rule_for_name))
    [Span(start=17, end=24, rule='password')]
    """
    for match in _FLAG.finditer(text):
        rule = rule_for(match[1])
        if rule and MARK.match(text, match.start(2)) is None:
            yield Span(match.start(2), match.end(2), rule)


def find_url_passwords(text: str) -> Iterator[Span]:
    """Yield the passwords in URLs, and long user names, which are tokens.

    A password may hold `/`, `?` and `#`, which a URL should not have there: all up
    to the last `@` counts then.

    >>> list(find_url_passwords("postgres://app:hunter2@db/orders"))
    [Span(start=15, end=22, rule='url-password')]
    """
    at = text.find("://")
    token_end = last = -1
    while at >= 0:
        start = at + 3
        if start > token_end:
            token = _TOKEN.match(text, start)
            token_end = token.end() if token else start
            last = text.rfind("@", start, token_end)
        authority = _AUTHORITY.match(text, start)
        end = authority.end() if authority else start
        inside = text.rfind("@", start, end)
        colon = text.find(":", start, end if inside < 0 else inside)
        if colon >= 0 and last > colon and not (inside < 0 and _is_port(text[colon + 1 : end])):
            yield from _unless_marked(text, colon + 1, last)
            end = max(end, last)
        elif colon < 0 and inside - start >= _LONG_USER:
            yield from _unless_marked(text, start, inside)
        at = text.find("://", end)


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= _PORT_DIGITS


def _unless_marked(text: str, start: int, end: int) -> Iterator[Span]:
    if end > start and MARK.fullmatch(text, start, end) is None:
        yield Span(start, end, "url-password")
