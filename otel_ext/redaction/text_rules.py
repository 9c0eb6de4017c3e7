r"""Which parts of a text are secrets by the name that stands before them.

`password=…` and `"token": "…"` in whatever notation: queries, connection strings,
JSON, headers, command lines, sources in a stack trace. One pass each, like
`otel_ext.redaction.value_rules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.key_rules import QUERY_NAMES
from otel_ext.redaction.value_ends import BLANKS, QUOTE, quoted, value_behind
from otel_ext.redaction.value_rules import MARK, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["find_assigned", "find_flags"]

_SEPARATOR: Final = re.compile(
    r"=(?:>|==?)?|:(?:=|(?!//))|%(?:25){0,3}3(?:[dD]|[aA](?!%(?:25){0,3}2[fF]))"
)
_NAME_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
# With the first byte of a no-break space in UTF-8, for bytes that are read as Latin-1.
_BEHIND_NAME: Final = f"{BLANKS}\xc2\"'\\])"
_LONGEST_NAME: Final = 128
_ESCAPED: Final = re.compile(r"%(?:25)*([0-7][0-9A-Fa-f])|\\u00([0-7][0-9A-Fa-f])")
_BRACKETS: Final = re.compile(r"[\[\]]+")
# What goes on to the end of its line where it is not in quotes.
_WHOLE_LINE: Final = frozenset({"authorization", "cookie"})
_LEAST_IN_QUERY: Final = 10
_SHORT_IN_QUERY: Final = frozenset({"key", "code"})
# `pass: 12, fail: 0` is about tests, and `second pass: …` is prose.
_FEW: Final = re.compile(r"[0-9]{1,4}(?=[\s,;)\]}&]|$)")

_FLAG: Final = re.compile(
    rf"(?<!\S)--?([A-Za-z][A-Za-z0-9_.-]{{0,63}})[{BLANKS}]{{1,4}}([^\s-]\S*)"
)


def find_assigned(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield the values that stand behind a name that tells a secret.

    Args:
        text: Any text.
        rule_for: Tells the rule by which a name's value is a secret; empty if it is none.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> [text := "GET /?page=2&token=abc", *find_assigned(text, rule_for_name)][1:]
    [Span(start=19, end=22, rule='token')]
    """
    done = behind = 0
    for separator in _SEPARATOR.finditer(text):
        at = separator.start()
        # No name holds a separator: looking back as far as the last one is enough.
        least = max(behind, at - _LONGEST_NAME)
        behind = separator.end()
        if at < done:
            continue
        name, before = _name_before(text, max(done, least), at, separator[0])
        rule = rule_for(name) if name else ""
        if not rule and before.endswith("\\") and name[:1] in {"n", "r", "t"}:
            # `\ntoken=…` in a text that was written as a literal.
            name = name[1:]
            rule = rule_for(name) if name else ""
        last_word = name.lower().rpartition("-")[2]
        by_query = not rule and before[-1:] in {"?", "&", ";"} and last_word in QUERY_NAMES
        if not rule and not by_query:
            continue
        level = separator[0][:-2] if separator[0][0] == "%" else ""
        until = _end_of_line(before, separator[0]) if rule in _WHOLE_LINE else ""
        start, end = value_behind(text, behind, until, level)
        if by_query and last_word in _SHORT_IN_QUERY and end - start < _LEAST_IN_QUERY:
            continue
        if last_word == "pass" and _is_no_password(text, before, separator, start):
            continue
        done = end
        if end > start:
            yield Span(start, end, rule or "url-query")


def _name_before(text: str, least: int, at: int, separator: str) -> tuple[str, str]:
    """Return the name that ends before `at`, and what stands before it."""
    window = text[least:at]
    if "%" in window or "\\u" in window:
        window = _ESCAPED.sub(_unescaped, window)
    if window.endswith("]") and not separator.startswith(":"):
        # `user[password]=`, `password[]=`, `password[0]=`: each part of the name tells.
        rest = window.rstrip(f"{_NAME_CHARACTERS}[]")
        parts = _BRACKETS.split(window[len(rest) :])
        name = ".".join(part for part in parts if part and not part.isdecimal())
    else:
        left = window.rstrip(_BEHIND_NAME)
        rest = left.rstrip(_NAME_CHARACTERS)
        name = left[len(rest) :]
    return name, rest or (text[least - 1] if least else "?")


def _end_of_line(before: str, separator: str) -> str:
    """Return what a header goes on to; nothing for one that is a parameter of a query."""
    if separator == "=" and before[-1:] in {"?", "&"} and before != "?":
        return ""
    # A header in quotes ends where they do.
    return before[-1:] if before[-1:] in {'"', "'"} else "\n"


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _is_no_password(text: str, before: str, separator: re.Match[str], start: int) -> bool:
    """Whether the name `pass` stands there as a word, or as the name of a number of things."""
    if _FEW.match(text, start):
        return True
    behind = text[separator.end() : separator.end() + 1]
    words = before.rstrip(BLANKS)
    is_apart = words != before and words[-1:].isalnum()
    return separator[0] == ":" and behind.isspace() and is_apart


def find_flags(text: str, rule_for: Callable[[str], str]) -> Iterator[Span]:
    """Yield what follows an option of a command that tells a secret: `--password …`.

    >>> from otel_ext.redaction.key_rules import rule_for_name
    >>> list(find_flags("java -jar x.jar -password hunter2 -v", rule_for_name))
    [Span(start=26, end=33, rule='password')]
    """
    done = 0
    for match in _FLAG.finditer(text):
        start, end = match.span(2)
        rule = rule_for(match[1]) if start >= done else ""
        if not rule:
            continue
        quote = QUOTE.match(text, start)
        if quote is not None:
            start, end = quoted(text, quote)
        if end > start and MARK.match(text, start) is None:
            done = end
            yield Span(start, end, rule)
