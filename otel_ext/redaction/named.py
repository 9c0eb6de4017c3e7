r"""Finds the secrets in a text that a name tells, in whatever notation the two are written.

One expression, made from the names of the table, finds a name together with what
stands between it and its value; what the value is and where it ends is looked at only
there. `password=…`, `"token": "…"`, `--api-key …`, `<secret>…</secret>`, `name: PIN`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.redaction.folding import fold
from otel_ext.redaction.names import NAME_ROWS, QUERY_NAMES
from otel_ext.redaction.rows import Span, any_of
from otel_ext.redaction.value_ends import BLANKS, QUOTE, is_nothing, quoted, value_behind
from otel_ext.redaction.values import is_random, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SHORT_STEMS", "STEMS", "Finder", "find_named"]

_PART: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]"
_LONGEST_NAME: Final = 96
_LONGEST_ELEMENT: Final = 4_096
_APART: Final = r"[ _.-]?"


_SHORT: Final = 4


def _stems() -> tuple[frozenset[str], frozenset[str]]:
    """Return what the names in a text have within them, and what they have at a border."""
    words = {fold(one.rstrip("$")) for row in NAME_ROWS for one in row.words.split("|")}
    glued = {fold(one) for row in NAME_ROWS for one in row.glued.split("|") if one}
    phrases = {*words, *glued, "pass"}
    # What only goes on where another one ends is found with that, as is what ends with it;
    # `cc` is a part of many words, and stands for cards in keys alone.
    ends = tuple(f" {one}" for one in phrases - {"pass"})
    phrases = {
        one
        for one in phrases
        if not one.startswith("cc ")
        and not one.endswith(ends)
        and not any(one[:at] in phrases and " " not in one[at:] for at in range(1, len(one)))
    }
    short = {one for one in phrases - glued - {"pass"} if len(one) <= _SHORT and one.isascii()}
    return frozenset(phrases - short), frozenset(short)


STEMS, SHORT_STEMS = _stems()
QUERY_ENDS: Final = tuple(f"{name}=" for name in QUERY_NAMES)

_CLOSE: Final = (
    rf"(?:[{BLANKS}\xc2\"'\\\])]|%(?:25){{0,3}}(?:5d|22|27|5b[0-9]{{0,3}})"
    rf"|\[[0-9]{{0,3}}|u0022)"
)
_ASSIGN: Final = (
    r"(?P<assign>=(?:> ?string\([0-9]{1,5}\)|>|==?)?|:(?:=|(?!//))"
    r"|%(?:25){0,3}3(?:d|a(?!%(?:25){0,3}2f))"
    r"|->|[→⇒]|\|(?!\|)|\t|\\t)"
)
_OTHER: Final = (
    rf"(?P<call>\((?=n?\\{{0,3}}[\"']))"
    r"|(?P<field>(?:[\"']\\?,\s{0,4}|[\"']\s[^<>]{0,48}?|\n\s{1,16})"
    r"\\?[\"']?value\\?[\"']?\s{0,4}[:=]\s{0,4})"
    rf"|(?P<quoted>[{BLANKS}\n]{{1,3}}(?=n?\\?[\"']))"
    rf"|(?P<pair>\\{{0,7}}[\"'],[ \t\r\n]{{0,4}}[bu]?(?=\\{{0,7}}[\"']))"
    r"|(?P<element>(?:\s[\w:.-]{1,32}=[\"'][^<>]{0,64})?>(?:\s{0,2}<!\[cdata\[)?)"
    r"|(?P<next></key>\s{0,8}<string>)"
    r"|(?P<gap>[\"']?[ \t\xa0\u2007\u202f\n]{1,3}(?:is[ \t:]{1,2})?)"
)
# A lookahead does not go back, so that a tail is read once.
_TAIL: Final = r"(?=(?P<tail>[\w.-]{0,24}))(?P=tail)(?![\w.-])"
# What is percent-encoded before a name ends with a letter or a digit.
_BORDER: Final = "(?:(?<![a-z0-9]{0})|(?<=%[0-7][0-9a-f]{0})|(?<=25[0-7][0-9a-f]{0}))"
# In a query, names count that tell nothing elsewhere.
_IN_QUERY: Final = "(?:(?<=[?&;-]{0})|(?<=26{0})|(?<=3f{0}))(?==|%(?:25){{0,3}}3d)"


def _pattern() -> re.Pattern[str]:
    tails = {
        **{name: _IN_QUERY.format(name) for name in QUERY_NAMES},
        **{stem: _BORDER.format(re.escape(stem)) for stem in SHORT_STEMS},
        **dict.fromkeys(STEMS, ""),
    }
    return re.compile(rf"(?:{any_of(tails, _APART)}){_TAIL}(?:{_CLOSE}{{0,6}}{_ASSIGN}|{_OTHER})")


_NAMED: Final = _pattern()


@cache
def _any_name() -> re.Pattern[str]:
    """Return the expression for names of the user's own: each word before a separator counts."""
    return re.compile(
        rf"(?<![\w.-])[^\W\d][\w.\-\[\]]{{0,64}}(?P<tail>)(?:{_CLOSE}{{0,6}}{_ASSIGN}|{_OTHER})"
    )


_TO_LAST_ESCAPE: Final = re.compile(
    r"(?s:.*)(?:%(?:25){0,3}[0-7][0-9a-fA-F]|\\u00[0-7][0-9a-fA-F]|\\[nrt])"
)
_BRACKETS: Final = re.compile(r"[\[\]]+")
_FIELD: Final = re.compile(
    r"(?:<[^<>]{0,64}|(?:^|[^a-z])(?:name|key|param|parameter|field|id)\\?[\"']?\s{0,4}[:=]\s{0,4})"
    r"\\?[\"']?[a-z0-9_.-]{0,64}$"
)
_OPTION: Final = re.compile(r"(?!-)\S+")
_END_OF_PAIR: Final = re.compile(r"\s{0,4}(?:,\s{0,4})?(?:[)\]]|$)")
_WORD_END: Final = re.compile(r"[^\s\"'<>,;)\]}]{1,300}")
_LEAST_IN_QUERY: Final = 10
# What may be spent on the names of one text: some 60 secrets, or 500 names that tell none;
# a name in prose, with a word behind it, is looked at quickly.
_WORK: Final = 512
_NEW_NAME: Final = 5
_JUDGED: Final = 7
_SAID: Final = 2
_WHOLE_LINE: Final = frozenset({"authorization", "cookie"})
_CODES: Final = re.compile(r"(?:otp|pin|code)$")
_DIGITS: Final = re.compile(r"[0-9]{4,8}")
# `pass: 12, fail: 0` is about tests, and `second pass: …` is prose.
_FEW: Final = re.compile(r"[0-9]{1,4}(?=[\s,;)\]}&]|$)")


class Finder(NamedTuple):
    """What a search for names needs.

    Attributes:
        rule_for: Tells the rule by which a name's value is a secret; empty if it is none.
        finds_all: Whether every name is judged, since the user has names of their own.
    """

    rule_for: Callable[[str], str]
    finds_all: bool = False


def find_named(text: str, folded: str, finder: Finder) -> Iterator[Span]:
    """Yield the values that stand behind a name that tells a secret.

    Args:
        text: Any text.
        folded: The same, as `folding.fold` returns it.
        finder: How names are judged.

    >>> from otel_ext.redaction.names import rule_for_name
    >>> text = "GET /?page=2&token=abc"
    >>> list(find_named(text, text, Finder(rule_for_name)))
    [Span(start=19, end=22, rule='token')]
    """
    done = 0
    left = _WORK
    rules: dict[str, str] = {}
    for match in (_any_name() if finder.finds_all else _NAMED).finditer(folded):
        if match.start() < done:
            continue
        left -= 1
        if left < 0:
            yield Span(match.start(), len(text), "too-many")
            return
        name, at = _name(text, match, done)
        rule = rules.get(name)
        if rule is None:
            left -= _NEW_NAME
            rule = rules[name] = finder.rule_for(name)
        if not rule and not _is_in_query(text, name, match, at):
            continue
        left -= _JUDGED
        span = _value(text, match, name, at, rule) if rule else _in_query(text, match, name)
        if span is None and match.lastgroup == "gap":
            left += _JUDGED - _SAID
        if span is not None:
            done = span.end
            yield span
            if text[span.start] in "([{" or "(" in text[span.start : span.end]:
                left -= (span.end - span.start) >> 2


def _is_in_query(text: str, name: str, match: re.Match[str], at: int) -> bool:
    """Whether a name that tells nothing elsewhere is that of a parameter of a URL's query."""
    return (
        match.lastgroup == "assign"
        and match["assign"][0] in "=%"
        and name.lower().rpartition("-")[2] in QUERY_NAMES
        and (text[at - 1 : at] in {"?", "&", ";"} or text[at - 2 : at].lower() in {"26", "3f"})
    )


def _in_query(text: str, match: re.Match[str], name: str) -> Span | None:
    start, end = value_behind(text, match.end(), "", match["assign"][:-2])
    value = text[start:end]
    if len(value) < _LEAST_IN_QUERY or not is_secret(value, "url-query"):
        return None
    if name.lower() in {"key", "code"} and value.isalpha() and value.islower():
        return None
    return Span(start, end, "url-query")


def _name(text: str, match: re.Match[str], done: int) -> tuple[str, int]:
    """Return the whole name whose end was found, and where it begins."""
    least = max(done, match.start() - _LONGEST_NAME)
    window = text[least : match.start()]
    if "%" in window or "\\" in window:
        escape = _TO_LAST_ESCAPE.match(window)
        if escape is not None:
            least += escape.end()
            window = window[escape.end() :]
    at = least + len(window.rstrip(_PART))
    name = text[at : match.end("tail")].lstrip("-")
    if "[" in name or "]" in name:
        name = _BRACKETS.sub(".", name)
    return name.strip(" ."), at


def _value(  # noqa: PLR0911 - one for each notation
    text: str, match: re.Match[str], name: str, at: int, rule: str
) -> Span | None:
    """Return the value behind a name, by the notation in which it stands."""
    kind = match.lastgroup or ""
    if kind == "assign":
        return _assigned(text, match, name, at, rule)
    if kind in {"gap", "quoted"}:
        return _behind_gap(text, match, name, at, rule)
    start = match.end()
    if kind == "element":
        return _element(text, match, at, rule)
    if kind == "next":
        end = text.find("<", start)
        return _checked(text, start, end, rule)
    if kind == "pair":
        return _paired(text, at, start, rule)
    if (
        kind == "field"
        and _FIELD.search(text[max(0, at - _LONGEST_NAME) : match.start()].lower()) is None
    ):
        return None
    start, end = value_behind(text, start)
    return _checked(text, start, end, rule)


def _checked(text: str, start: int, end: int, rule: str) -> Span | None:
    if end <= start or is_nothing(text, start, end):
        return None
    return Span(start, end, rule) if is_secret(text[start:end], rule, is_bare=False) else None


def _assigned(  # noqa: PLR0911 - one for each reason to leave it
    text: str, match: re.Match[str], name: str, at: int, rule: str
) -> Span | None:
    separator = match["assign"]
    before = text[max(at - 1, 0) : at]
    behind = match.end()
    if before == separator == ":" and not text[behind : behind + 1].isspace():
        return None  # an ARN and the like: parts with colons between
    level = separator[:-2] if separator[0] == "%" else ""
    until = ""
    if separator in {"|", "\t", "\\t"} and not text[behind : behind + 80].strip(" |\t-\n"):
        return None
    if rule in _WHOLE_LINE and separator in {":", "="}:
        until = _end_of_line(before, separator)
    if text[behind : behind + 3].lstrip(" ")[:2] in {"|\n", ">\n", "|-", ">-", "|+"}:
        line = text.find("\n", behind)
        start, end = _block(text, line + 1) if line >= 0 else (0, 0)
        return _checked(text, start, end, rule)
    start, end = value_behind(text, behind, until, level)
    if end <= start:
        return None
    if name.lower() == "pass" and _is_no_password(text, at, separator, behind, start):
        return None
    value = text[start:end]
    is_bare = text[start - 1 : start] not in {"'", '"'}
    in_query = before in {"?", "&"} or level
    is_prose = is_bare and separator == ":" and text[behind : behind + 1] == " " and not in_query
    if is_prose and " " not in value:
        line = text.find("\n", start)
        rest = text[start : min(start + 80, line if line >= 0 else start + 80)]
        if rule == "password" and not is_secret(rest, rule, is_prose=True, is_bare=False):
            return None
    if not is_secret(value, rule, is_prose=is_prose, is_bare=is_bare and not in_query):
        return None
    return Span(start, end, rule)


def _block(text: str, start: int) -> tuple[int, int]:
    """Return the block of a YAML text that begins there: the lines that stand as deep."""
    line = start
    indent = len(text[line : line + 64]) - len(text[line : line + 64].lstrip(" "))
    end = line
    while indent and text.startswith(" " * indent, line):
        end = text.find("\n", line)
        if end < 0:
            return start + indent, len(text)
        line = end + 1
    return start + indent, end


def _behind_gap(  # noqa: PLR0911 - as above
    text: str, match: re.Match[str], name: str, at: int, rule: str
) -> Span | None:
    start = match.end()
    is_option = text[at : at + 1] == "-" and not text[max(at - 1, 0) : at].isalnum()
    quote = QUOTE.match(text, start)
    if quote is not None:
        # An option, or a statement of SQL: PASSWORD '…'.
        if not is_option and not match[0].rstrip(" \t\n").endswith(("password", "-string")):
            return None
        first, end = quoted(text, quote)
        return _checked(text, first, end, rule)
    word = _WORD_END.match(text, start)
    if word is None:
        return None
    end = word.end()
    value = word[0]
    if value[0] == "$":
        return None  # a variable, or quotes of SQL that have a row of their own
    if is_option and "\n" not in match[match.lastgroup or 0]:
        option = _OPTION.match(text, start)
        return _checked(text, start, option.end(), rule) if option else None
    if value[-1:] in ".:!?":
        end -= 1
        value = value[:-1]
    is_code = _CODES.search(fold(name).rstrip()) is not None and _DIGITS.fullmatch(value)
    if not is_code and not (is_random(value) and "=" not in value and "(" not in value):
        return None
    return _checked(text, start, end, rule)


def _element(text: str, match: re.Match[str], at: int, rule: str) -> Span | None:
    """Return the text of an element of XML whose name tells a secret."""
    if "<" not in text[max(at - 32, 0) : at + 1]:
        return None
    start = match.end("element")
    end = text.find("</", start, start + _LONGEST_ELEMENT)
    if end < 0 or end == start:
        return None
    if text[end - 3 : end] == "]]>" and match["element"].endswith("["):
        end -= 3
    value = text[start:end]
    return _checked(text, start, end, rule) if "<" not in value else None


def _paired(text: str, at: int, start: int, rule: str) -> Span | None:
    """Return the second of a pair, or what follows an option, in a list that is shown."""
    is_option = text[at : at + 1] == "-"
    opening = text[max(at - 10, 0) : at].rstrip("\"'\\bu").rstrip(" \t\r\n")[-1:]
    if not is_option and opening not in {"(", "["}:
        return None
    quote = QUOTE.match(text, start)
    if quote is None:
        return None
    first, end = quoted(text, quote)
    behind = end + len(quote[0])
    is_value = not text.startswith("-", first) if is_option else _END_OF_PAIR.match(text, behind)
    return _checked(text, first, end, rule) if is_value else None


def _end_of_line(before: str, separator: str) -> str:
    """Return what a header goes on to; nothing for one that is a parameter of a query."""
    if separator == "=" and before in {"?", "&"}:
        return ""
    # A header in quotes ends where they do.
    return before if before in {'"', "'"} else "\n"


def _is_no_password(text: str, at: int, separator: str, behind: int, start: int) -> bool:
    """Whether the name `pass` stands there as a word, or as the name of a number of things."""
    if _FEW.match(text, start):
        return True
    before = text[max(at - 8, 0) : at]
    words = before.rstrip(BLANKS)
    is_apart = words != before and words[-1:].isalnum()
    if separator == ":":
        return is_apart and text[behind : behind + 1].isspace()
    word = _WORD_END.match(text, start)
    return is_apart and separator == "=" and word is not None and word[0].isalpha()
