r"""Which parts of a URL are secrets by where they stand: passwords, and the paths of webhooks.

One pass each, like `otel_ext.redaction.value_rules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.value_rules import MARK, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_dsn_passwords", "find_url_passwords", "find_webhooks"]

_AUTHORITY: Final = re.compile(r"[^\s/?#\"'<>]*")
_TOKEN: Final = re.compile(r"[^\s\"'<>]*")
_LONG_USER: Final = 16
_PORT_DIGITS: Final = 5
# Go's form of an address: `user:password@tcp(host:port)/name`.
_DSN: Final = re.compile(r"@(?:tcp|udp|unix)[46]?\(")
_LONGEST_DSN: Final = 256
_BORDER: Final = re.compile(r"[\s\"'<>]")


_SLASH: Final = r"(?:/|%2[fF])"
_WEBHOOK: Final = re.compile(
    rf"(?:hooks\.slack\.com{_SLASH}(?:services|workflows|triggers)"
    rf"|discord(?:app)?\.com{_SLASH}api{_SLASH}(?:v[0-9]{{1,2}}{_SLASH})?webhooks{_SLASH}[0-9]{{1,20}})"
    rf"{_SLASH}([A-Za-z0-9_/%-]{{8,}})"
)


def find_url_passwords(text: str) -> Iterator[Span]:
    """Yield the passwords in URLs, and long user names, which are tokens.

    A password may hold `/`, `?` and `#`, which a URL should not have there: all up
    to the last `@` counts then. Without a scheme before `//` none of these counts.

    >>> list(find_url_passwords("postgres://app:hunter2@db/orders"))
    [Span(start=15, end=22, rule='url-password')]
    """
    at = text.find("//")
    token_end = last = -1
    while at >= 0:
        before = text[max(at - 1, 0) : at]
        has_scheme = before == ":"
        start = at + 2
        authority = _AUTHORITY.match(text, start)
        end = authority.end() if authority else start
        if has_scheme and start > token_end:
            token = _TOKEN.match(text, start)
            token_end = token.end() if token else start
            last = text.rfind("@", start, token_end)
        inside = text.rfind("@", start, end)
        final = last if has_scheme else -1 if before.isalnum() or before == "/" else inside
        colon = text.find(":", start, end if inside < 0 else inside)
        if colon >= 0 and final > colon and not (inside < 0 and _is_port(text[colon + 1 : end])):
            yield from _unless_marked(text, colon + 1, final)
            end = max(end, final)
        elif colon < 0 and has_scheme and inside - start >= _LONG_USER:
            yield from _unless_marked(text, start, inside)
        at = text.find("//", end)


def find_dsn_passwords(text: str) -> Iterator[Span]:
    """Yield the passwords in addresses as Go's drivers of databases take them.

    >>> list(find_dsn_passwords("app:hunter2@tcp(db:3306)/orders"))
    [Span(start=4, end=11, rule='url-password')]
    """
    for match in _DSN.finditer(text):
        end = match.start()
        token = _BORDER.split(text[max(end - _LONGEST_DSN, 0) : end])[-1]
        colon = token.find(":")
        if colon >= 0 and "://" not in token:
            yield from _unless_marked(text, end - len(token) + colon + 1, end)


def find_webhooks(text: str) -> Iterator[Span]:
    """Yield what of a webhook's address lets anybody post to it.

    >>> text = "to https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/xxxxxxxxxxxx"
    >>> [text[span.start : span.end] for span in find_webhooks(text)]
    ['T0AAAAAAA/B0AAAAAAA/xxxxxxxxxxxx']
    """
    for match in _WEBHOOK.finditer(text):
        yield Span(match.start(1), match.end(1), "webhook")


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= _PORT_DIGITS


def _unless_marked(text: str, start: int, end: int) -> Iterator[Span]:
    if end > start and MARK.fullmatch(text, start, end) is None:
        yield Span(start, end, "url-password")
