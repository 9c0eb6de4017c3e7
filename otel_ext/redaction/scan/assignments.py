r"""Finds secrets in a text by the name before them, in many notations.

One expression, made from the names of the table, finds a name together with the
separator before its value; only then is the value examined. `password=…`,
`"token": "…"`, `--api-key …`, `<secret>…</secret>`, `name: PIN`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from otel_ext.redaction.rules.names import NAME_ROWS, QUERY_ROW
from otel_ext.redaction.rules.row import Span, any_of
from otel_ext.redaction.scan.folding import fold
from otel_ext.redaction.scan.value_ends import BLANKS, QUOTE, value_after
from otel_ext.redaction.scan.values import is_random, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["APART", "SHORT_STEMS", "STEMS", "find_named"]

_PART: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]"
_LONGEST_NAME: Final = 96
_LONGEST_ELEMENT: Final = 4_096
APART: Final = " _.-"
"""What may stand between the words of a name: one of these, or nothing."""
_SHORT: Final = 4


def _stems() -> tuple[frozenset[str], frozenset[str]]:
    """Return what secrets' names contain anywhere, and what they contain at a border."""
    listed = [fold(one) for row in NAME_ROWS for one in row.literals]
    glued = {one[1:] for one in listed if one[0] == "*"}
    phrases = {*(one.strip("*$") for one in listed), "pass"}
    # A phrase that begins or ends with another one is found with that. `cc` is part of
    # many words, so it means cards in keys only.
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
QUERY_ENDS: Final = tuple(f"{name}=" for name in QUERY_ROW.literals)

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
    rf"|(?P<gap>[\"']?[{BLANKS}\n]{{1,3}}(?:is[ \t:]{{1,2}})?)"
)
# A lookahead never backtracks, so that a tail is read once.
_TAIL: Final = r"(?=(?P<tail>[\w.-]{0,24}))(?P=tail)(?![\w.-])"
# A percent-encoded character before a name ends with a letter or a digit.
_BORDER: Final = "(?:(?<![a-z0-9]{0})|(?<=%[0-7][0-9a-f]{0})|(?<=25[0-7][0-9a-f]{0}))"
# These names count only in a query.
_IN_QUERY: Final = "(?:(?<=[?&;-]{0})|(?<=26{0})|(?<=3f{0}))(?==|%(?:25){{0,3}}3d)"


def _pattern() -> re.Pattern[str]:
    tails = {
        **{name: _IN_QUERY.format(name) for name in QUERY_ROW.literals},
        **{stem: _BORDER.format(re.escape(stem)) for stem in SHORT_STEMS},
        **dict.fromkeys(STEMS, ""),
    }
    names = any_of(tails, f"[{APART}]?")
    return re.compile(rf"(?:{names}){_TAIL}(?:{_CLOSE}{{0,6}}{_ASSIGN}|{_OTHER})")


_NAMED: Final = _pattern()


@cache
def _any_name() -> re.Pattern[str]:
    """Return the expression for the user's own names: each word before a separator counts."""
    return re.compile(
        rf"(?<![\w.-])-{{0,2}}[^\W\d][\w.\-\[\]]{{0,64}}(?P<tail>)(?:{_CLOSE}{{0,6}}{_ASSIGN}|{_OTHER})"
    )


_ESCAPES: Final = frozenset("%\\")
_ESCAPE: Final = re.compile(r"%(?:25){0,3}[0-7][0-9a-fA-F]|\\u00[0-7][0-9a-fA-F]|\\[nrt]")
_BRACKETS: Final = re.compile(r"[\[\]]+")
_FIELD: Final = re.compile(
    r"(?:<[^<>]{0,64}|(?:^|[^a-z])(?:name|key|param|parameter|field|id)\\?[\"']?\s{0,4}[:=]\s{0,4})"
    r"\\?[\"']?[a-z0-9_.-]{0,64}$"
)
_OPTION: Final = re.compile(r"(?!-)\S+")
_END_OF_PAIR: Final = re.compile(r"\s{0,4}(?:,\s{0,4})?(?:[)\]]|$)")
_WORD_END: Final = re.compile(r"[^\s\"'<>,;)\]}]{1,300}(?<![.:!?])")
_BLOCK: Final = re.compile(r" ?[|>][-+]?[ \r]{0,4}\n")
# A word without a digit, which is not a secret if only a space precedes it.
_IN_PROSE: Final = re.compile(r"[^\s\"'<>,;)\]}0-9]{0,300}(?![^\s\"'<>,;)\]}])")
_NOTHING: Final = (0, 0)
_AND: Final = frozenset({"?", "&"})
# Names that a quoted value may follow without a separator.
_BEFORE_QUOTES: Final = ("password", "-string")
_LEAST_IN_QUERY: Final = 10
# The budget for the names in one text: some 50 secrets, or 400 names without one.
_WORK: Final = 800
_MET: Final = 2
_NEW_NAME: Final = 10
_JUDGED: Final = 12
_WHOLE_LINE: Final = frozenset({"authorization", "cookie"})
_CODES: Final = re.compile(r"(?:otp|pin|code)$")
_DIGITS: Final = re.compile(r"[0-9]{4,8}")
# `pass: 12, fail: 0` is about tests, and `second pass: …` is prose.
_FEW: Final = re.compile(r"[0-9]{1,4}(?=[\s,;)\]}&]|$)")


def find_named(
    text: str, folded: str, rule_for: Callable[[str], str], *, judges_all: bool = False
) -> Iterator[Span]:
    """Yield the values that follow a name of a secret.

    Args:
        text: Any text.
        folded: The same, as `folding.fold` returns it.
        rule_for: Returns the rule by which a name's value is a secret; empty if it is not.
        judges_all: Whether every name is judged, not only those of the table.

    >>> from otel_ext.redaction.rules.names import rule_for_name
    >>> text = "GET /?page=2&token=abc"
    >>> list(find_named(text, text, rule_for_name))
    [Span(start=19, end=22, rule='token')]
    """
    done = 0
    left = _WORK
    rules: dict[str, str] = {}
    for match in (_any_name() if judges_all else _NAMED).finditer(folded):
        begin, end = match.span()
        if begin < done:
            continue
        left -= _MET
        if left < 0:
            yield Span(begin, len(text), "too-many")
            return
        least = max(done, begin - _LONGEST_NAME)
        is_gap = match.lastgroup == "gap"
        if is_gap and _IN_PROSE.match(text, end) and "-" not in text[least:begin]:
            continue
        name, at = _name(text, least, begin, match.end("tail"))
        rule = rules.get(name)
        if rule is None:
            left -= _NEW_NAME
            rule = rules[name] = rule_for(name)
        if not rule and (is_gap or not _is_in_query(text, name, match, at)):
            continue
        left -= _JUDGED
        start, end = _value(text, match, name, at, rule)
        if start < end:
            done = end
            yield Span(start, end, rule or QUERY_ROW.rule)
            if text[start] in "([{" or "(" in text[start:end]:
                left -= (end - start) >> 1


def _is_in_query(text: str, name: str, match: re.Match[str], at: int) -> bool:
    """Whether the name is a query parameter in a URL, where more names count."""
    return (
        match.lastgroup == "assign"
        and match["assign"][0] in "=%"
        and name.lower().rpartition("-")[2] in QUERY_ROW.literals
        and (text[at - 1 : at] in {"?", "&", ";"} or text[at - 2 : at].lower() in {"26", "3f"})
    )


def _name(text: str, least: int, begin: int, end: int) -> tuple[str, int]:
    """Return the whole name whose end was found at `begin` to `end`, and its start."""
    at = least + len(text[least:begin].rstrip(_PART))
    if text[at - 1 : at] in _ESCAPES:
        escape = _ESCAPE.match(text, at - 1, begin)
        at = escape.end() if escape else at
    name = text[at:end].lstrip("-")
    if "[" in name or "]" in name:
        name = _BRACKETS.sub(".", name)
    return name.strip(" ."), at


def _value(text: str, match: re.Match[str], name: str, at: int, rule: str) -> tuple[int, int]:
    """Return start and end of the secret after a name, by the notation; equal if none."""
    kind = match.lastgroup or ""
    start = match.end()
    is_value = True
    if kind == "assign":
        return _assigned(text, match, name, at, rule)
    if kind == "gap":
        start, end = _after_gap(text, start, name, at)
    elif kind == "element":
        end = text.find("</", start, start + _LONGEST_ELEMENT)
        end -= 3 if text[end - 3 : end] == "]]>" else 0
        is_value = "<" in text[max(at - 32, 0) : at + 1] and "<" not in text[start:end]
    elif kind == "pair":
        start, end = _paired(text, at, start)
    else:
        start, end = value_after(text, start)
        if kind == "quoted":
            # An option, or a statement of SQL: PASSWORD '…'.
            is_value = _is_option(text, at) or match[0].rstrip(" \t\n").endswith(_BEFORE_QUOTES)
        elif kind == "field":
            before = text[max(0, at - _LONGEST_NAME) : match.start()].lower()
            is_value = _FIELD.search(before) is not None
    is_value = is_value and is_secret(text[start:end], rule, is_bare=False)
    return (start, end) if is_value else _NOTHING


def _assigned(text: str, match: re.Match[str], name: str, at: int, rule: str) -> tuple[int, int]:
    """Return the secret after a separator, which may be percent-encoded."""
    separator = match["assign"]
    before = text[max(at - 1, 0) : at]
    after = match.end()
    is_apart = text[after : after + 1].isspace()
    if before == separator == ":" and not is_apart:
        return _NOTHING  # an ARN and the like: parts with colons between
    level = separator[:-2] if separator[0] == "%" else ""
    until = ""
    if rule in _WHOLE_LINE and separator in {":", "="} and (separator == ":" or before not in _AND):
        # A quoted header ends at its quote.
        until = before if before in {'"', "'"} else "\n"
    block = _BLOCK.match(text, after)
    if block is not None:
        start, end = _block(text, block.end())
    else:
        start, end = value_after(text, after, until, level)
    if name.lower() == "pass" and _is_ordinary_pass(text, at, separator, after, start):
        return _NOTHING
    in_query = before in _AND or level
    is_bare = not in_query and text[start - 1 : start] not in {"'", '"'}
    is_prose = is_bare and separator == ":" and is_apart
    if not rule:
        value = text[start:end]
        is_word = value.isalpha() and value.islower() and name.lower() in {"key", "code"}
        if is_word or len(value) < _LEAST_IN_QUERY:
            return _NOTHING
    is_found = is_secret(text[start:end], rule, is_prose=is_prose, is_bare=is_bare or not rule)
    return (start, end) if is_found else _NOTHING


def _block(text: str, start: int) -> tuple[int, int]:
    """Return the YAML block that begins at `start`: the lines with the same indent."""
    indent = " " * (len(text[start : start + 64]) - len(text[start : start + 64].lstrip(" ")))
    end = start
    while indent and text.startswith(indent, end):
        end = text.find("\n", end) + 1 or len(text)
    return start + len(indent), end - text.endswith("\n", start, end)


def _is_option(text: str, at: int) -> bool:
    return text[at : at + 1] == "-" and not text[max(at - 1, 0) : at].isalnum()


def _after_gap(text: str, start: int, name: str, at: int) -> tuple[int, int]:
    """Return the value of an option, or a word after a name if it looks random."""
    word = _WORD_END.match(text, start)
    if word is None or word[0][0] == "$":
        return _NOTHING  # a variable, or SQL's dollar quotes, which have their own row
    if _is_option(text, at) and text[start - 1] != "\n":
        option = _OPTION.match(text, start)
        return option.span() if option else _NOTHING
    value = word[0]
    is_code = _CODES.search(fold(name)) is not None and _DIGITS.fullmatch(value)
    is_secret_word = is_code or (is_random(value) and "=" not in value and "(" not in value)
    return word.span() if is_secret_word else _NOTHING


def _paired(text: str, at: int, start: int) -> tuple[int, int]:
    """Return the second of a pair, or the item after an option, in a printed list."""
    is_option = text[at : at + 1] == "-"
    opening = text[max(at - 10, 0) : at].rstrip("\"'\\bu").rstrip(" \t\r\n")[-1:]
    if not is_option and opening not in {"(", "["}:
        return _NOTHING
    start, end = value_after(text, start)
    quote = QUOTE.match(text, end)
    after = quote.end() if quote else end
    is_value = not text.startswith("-", start) if is_option else _END_OF_PAIR.match(text, after)
    return (start, end) if is_value else _NOTHING


def _is_ordinary_pass(text: str, at: int, separator: str, after: int, start: int) -> bool:
    """Whether `pass` is an ordinary word here, or the label of a count."""
    if _FEW.match(text, start):
        return True
    before = text[max(at - 8, 0) : at]
    words = before.rstrip(BLANKS)
    is_apart = words != before and words[-1:].isalnum()
    word = _WORD_END.match(text, start)
    is_word = word is not None and word[0].isalpha() if separator == "=" else separator == ":"
    return is_apart and is_word and (separator == "=" or text[after : after + 1].isspace())
