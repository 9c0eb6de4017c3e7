r"""Which parts of a text are secrets by a name that no separator stands behind.

XML elements (`<password>…</password>`), SQL (`IDENTIFIED BY '…'`), and lists as Python
and JSON show them: `('cookie', '…')`, `['mysql', '--password', '…']`. One pass each,
like `otel_ext.redaction.value_rules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.value_ends import QUOTE, is_nothing, quoted
from otel_ext.redaction.value_rules import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find_elements", "find_listed", "find_statements"]

_ELEMENT: Final = re.compile(r"<([A-Za-z_][A-Za-z0-9_.:-]{0,127})(?:[ \t\r\n][^<>]{0,512})?>")
_CDATA: Final = "<![CDATA["
# The values are in quotes; `set_password('…')` as it stands in a source.
_STATEMENT: Final = re.compile(
    r"(?:(?<![A-Z0-9_])(?:PASSWORD|BY)[ \t\r\n]|PASSWORD\()"
    r"(?:[ \t\r\n](?=[\"'])|(?=\\?[\"']))",
    re.IGNORECASE | re.ASCII,
)
_IDENTIFIED: Final = 64
_LISTED: Final = re.compile(
    r"([(\[][ \t\r\n]{0,4})?[bu]?(?<!\\)(\\{0,7}[\"'])(-{0,2})([A-Za-z][A-Za-z0-9_.-]{0,63})\2"
    r",[ \t\r\n]{0,4}[bu]?(?=\\{0,7}[\"'])"
)
_END_OF_LIST: Final = re.compile(r"\s{0,4}(?:,\s{0,4})?(?:[)\]]|$)")


def find_elements(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield the texts of XML elements whose name tells a secret.

    Args:
        text: Any text.
        rule_for: Tells the rule by which a name's value is a secret; empty if it is none.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> list(find_elements("<user>ann</user><password>hunter2</password>", rule_for_name))
    [Span(start=26, end=33, rule='password')]
    """
    closing = 0
    for match in _ELEMENT.finditer(text):
        start = match.end()
        if closing < start:
            closing = text.find("</", start)
            if closing < 0:
                return
        rule = rule_for(match[1])
        is_whole = text.startswith(match[1], closing + 2) or text.startswith(_CDATA, start)
        if rule and is_whole and closing > start and not is_nothing(text, start, closing):
            yield Span(start, closing, rule)


def find_statements(text: str) -> Iterator[Span]:
    """Yield the passwords in statements of SQL, and in calls such as `set_password('…')`.

    >>> list(find_statements("ALTER USER ann IDENTIFIED BY 'hunter2'"))
    [Span(start=30, end=37, rule='password')]
    """
    done = 0
    for match in _STATEMENT.finditer(text):
        at = match.end()
        if at < done or (
            match[0][:1] in "bB" and "identified" not in text[max(at - _IDENTIFIED, 0) : at].lower()
        ):
            continue
        quote = QUOTE.match(text, at)
        if quote is not None:
            start, done = quoted(text, quote)
            if done > start and not is_nothing(text, start, done):
                yield Span(start, done, "password")


def find_listed(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield what follows a telling name, or option, in a list that shows its items in quotes.

    A name counts only in a pair: `['token', 'name', 'id']` are the names of columns.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> list(find_listed("[('cookie', 'hunter2')]", rule_for_name))
    [Span(start=13, end=20, rule='cookie')]
    """
    done = 0
    for match in _LISTED.finditer(text):
        at = match.end()
        rule = rule_for(match[4]) if at >= done and (match[1] or match[3]) else ""
        quote = QUOTE.match(text, at) if rule else None
        if quote is None:
            continue
        start, end = quoted(text, quote)
        behind = end + len(quote[0])
        is_value = not text.startswith("-", start) if match[3] else _END_OF_LIST.match(text, behind)
        if end > start and is_value and not is_nothing(text, start, end):
            done = end
            yield Span(start, end, rule)
