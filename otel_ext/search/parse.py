"""Parses a search, such as `service:shop dur:>500ms not error`.

Terms with blanks between them must all hold; `or`, `not` or `-`, and brackets combine them::

    word  "two words"              text in names, errors, attributes and logs
    key:value  key=value           the field or attribute has this value
    key:a,b  key:pre*  key:/re/    one of them; begins with; by a regular expression
    key:>5  key:1..5  has:key      compares numbers, durations and times; whatever the value
    >500ms  error  running         the same as dur:>500ms, state:error, state:running
    under:(…)  has-child:(…)       below a span that is found; with such a child

Any key but those of fields is that of an attribute; an odd one is quoted: `"odd key":x`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, cast

from otel_ext.errors import UsageError
from otel_ext.record.model import SPAN_KINDS
from otel_ext.search.nodes import And, Field, Has, Not, Or, Relative, Test, Text
from otel_ext.settings.units import parse_duration

if TYPE_CHECKING:
    from otel_ext.search.nodes import Node, Operator

__all__ = ["FIELDS", "STATES", "SearchError", "parse"]

STATES: Final = (
    *("running", "stalled", "blocked", "hung", "lost"),
    *("abandoned", "error", "cancelled", "ended"),
)
"""The words that alone mean `state:WORD`."""

FIELDS: Final = (
    *("name", "service", "kind", "state", "dur", "self", "age", "trace", "span", "process"),
    *("thread", "task", "file", "error", "level", "log", "is", "since", "at"),
)
"""The keys that are not those of attributes."""

_CHOICES: Final = {
    "state": STATES,
    "is": ("root", "leaf", "critical", "orphan"),
    "kind": SPAN_KINDS,
}
# Fields that are compared with durations, and how.
_AMOUNTS: Final = {
    **{key: f"{key}:>1s or {key}:1ms..5ms" for key in ("dur", "self", "age")},
    "since": "since:10m",
}
# Fields with long values, of which the beginning is enough.
_IDS: Final = ("trace", "span")
_SMALL_UNITS: Final = {"us": 1_000, "µs": 1_000, "ns": 1}
_MOST_CHARACTERS: Final = 2_000
_DEEPEST: Final = 20
_ENDS_WORD: Final = frozenset(' \t\r\n()":=')
_ENDS_VALUE: Final = frozenset(" \t\r\n(),")
_OPERATORS: Final[tuple[Operator, ...]] = (">=", "<=", ">", "<")


class SearchError(UsageError):
    """A search cannot be understood.

    Attributes:
        at: Where, as the number of characters before it.
    """

    def __init__(self, problem: str, at: int, hint: str) -> None:
        super().__init__(f"search, character {at + 1}: {problem}", hint=hint)
        self.at = at


def parse(text: str) -> Node:
    """Return what a search means; an empty one finds everything.

    Raises:
        SearchError: It cannot be understood; the error names the place and the way out.

    >>> parse("checkout error")
    And(items=(Text(value='checkout'), Field(key='state', tests=((Test(operator='is', \
value='error'),),))))
    """
    if len(text) > _MOST_CHARACTERS:
        raise SearchError(
            f"{len(text):,} characters are too many", 0, f"Use {_MOST_CHARACTERS:,} at most."
        )
    return _Parser(text).whole()


class _Parser:
    """Reads a search from the left; one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        found = self._any_of()
        if self._next() == ")":
            raise SearchError("a bracket closes that is not open", self._at, "Remove it.")
        return found

    def _any_of(self) -> Node:
        items = [self._all_of()]
        while self._takes_word("or"):
            if not self._next() or self._next() == ")":
                raise SearchError("nothing follows “or”", self._at, "Write a term after it.")
            items.append(self._all_of())
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _all_of(self) -> Node:
        items: list[Node] = []
        while self._next() not in {"", ")"} and not self._is_word("or"):
            items.append(self._maybe_not())
        return items[0] if len(items) == 1 else And(tuple(items))

    def _maybe_not(self) -> Node:
        is_minus = self._next() == "-" and self._text[self._at + 1 : self._at + 2].strip() != ""
        if is_minus:
            self._at += 1
        if is_minus or self._takes_word("not"):
            if self._next() in {"", ")"}:
                raise SearchError("nothing follows “not”", self._at, "Write a term after it.")
            self._depth += 1
            self._check_depth()
            item = self._maybe_not()
            self._depth -= 1
            return Not(item)
        return self._term()

    def _brackets(self) -> Node:
        opened = self._at
        self._at += 1
        self._depth += 1
        self._check_depth()
        found = self._any_of()
        if self._next() != ")":
            raise SearchError("a bracket is not closed", opened, "Add “)”.")
        self._at += 1
        self._depth -= 1
        return found

    def _term(self) -> Node:
        first = self._next()
        if first == "(":
            return self._brackets()
        if first in {"<", ">"}:
            return Field("dur", (self._comparison("dur", self._bare_value()),))
        if first in {":", "="}:
            raise SearchError("a value without a key", self._at, "Write key:value.")
        at, is_quoted = self._at, first == '"'
        word = self._quoted() if is_quoted else self._until(_ENDS_WORD)
        separator = self._text[self._at : self._at + 1]
        if separator == "=":
            self._at += 1
            start = self._at
            value = self._literal(word)
            self._check_exact(word, value, start)
            return Field(word, ((Test("is", value),),))
        if separator == ":":
            self._at += 1
            return self._field(word, at, is_quoted=is_quoted)
        if not is_quoted and word in STATES:
            return Field("state", ((Test("is", word),),))
        return Text(word)

    def _field(self, key: str, at: int, *, is_quoted: bool) -> Node:
        if not is_quoted and key in {"under", "has-child"}:
            if self._text[self._at : self._at + 1] != "(":
                raise SearchError(
                    f"“{key}:” needs a search in brackets", self._at, f"Write {key}:(error)."
                )
            return Relative(cast('Literal["under", "has-child"]', key), self._brackets())
        if not is_quoted and key == "has":
            return Has(self._literal(key))
        tests = [self._value(key)]
        while self._text[self._at : self._at + 1] == ",":
            self._at += 1
            tests.append(self._value(key))
        return Field(key, tuple(tests))

    def _value(self, key: str) -> tuple[Test, ...]:
        at, first = self._at, self._text[self._at : self._at + 1]
        if first == "/" and key not in _AMOUNTS:
            return (Test("matches", self._expression()),)
        if first == '"':
            value = self._quoted()
            self._check_exact(key, value, at)
            return (Test("is", value),)
        value = self._bare_value()
        if not value:
            raise SearchError(f"“{key}:” has no value", at, "Write one, or has:KEY.")
        if key in _CHOICES:
            self._check_exact(key, value, at)
        return self._comparison(key, value)

    def _check_exact(self, key: str, value: str, at: int) -> None:
        """Refuse a value that no span can have in this field."""
        if key in _AMOUNTS:
            raise SearchError(f"“{key}” compares durations", at, f"Write {_AMOUNTS[key]}.")
        if key in _CHOICES and value not in _CHOICES[key]:
            hint = f"Use one of {', '.join(_CHOICES[key])}."
            raise SearchError(f"“{value}” is not a value of “{key}”", at, hint)

    def _comparison(self, key: str, value: str) -> tuple[Test, ...]:
        """Return the tests of a value that is not quoted: with an operator, a range, a star."""
        at = self._at - len(value)
        if key == "since":
            return (Test("is", self._amount(key, value, at)),)
        for operator in _OPERATORS:
            if value.startswith(operator):
                return (Test(operator, self._amount(key, value[len(operator) :], at)),)
        low, dots, high = value.partition("..")
        if dots and low and high:
            return (
                Test(">=", self._amount(key, low, at)),
                Test("<=", self._amount(key, high, at)),
            )
        self._check_exact(key, value, at)
        if value.endswith("*") or key in _IDS:
            return (Test("prefix", value.removesuffix("*")),)
        return (Test("is", value),)

    def _amount(self, key: str, value: str, at: int) -> str:
        """Return an amount; that of a duration in nanoseconds."""
        if not value:
            raise SearchError("nothing follows the comparison", at, "Write a value: >500ms.")
        if key not in _AMOUNTS:
            return value
        for unit, nanoseconds in _SMALL_UNITS.items():
            number = value.removesuffix(unit)
            if number != value and number.isdecimal():
                return str(int(number) * nanoseconds)
        with suppress(ValueError):
            if not value[-1].isdecimal():  # it has a unit
                return str(round(parse_duration(value) * 1e9))
        hint = "Write a number and ns, us, ms, s, m, h or d."
        raise SearchError(f"“{value}” is not a duration", at, hint)

    def _expression(self) -> str:
        at = self._at
        self._at += 1
        written = self._escaped("/", at, "an expression is not closed", "Add “/”.", keep=True)
        try:
            re.compile(written)
        except (re.error, OverflowError, RecursionError) as error:
            raise SearchError(
                f"/{written}/ is not a regular expression: {error}", at, "Correct or quote it."
            ) from None
        return written

    def _quoted(self) -> str:
        at = self._at
        self._at += 1
        return self._escaped('"', at, "a quote is not closed", 'Add “"”.', keep=False)

    def _escaped(self, end: str, at: int, problem: str, hint: str, *, keep: bool) -> str:
        """Return the text up to `end`, which a backslash before it makes part of the text."""
        found: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == end:
                return "".join(found)
            if character == "\\" and self._at < len(self._text):
                escaped = self._text[self._at]
                self._at += 1
                found.append(f"\\{escaped}" if keep and escaped != end else escaped)
            else:
                found.append(character)
        raise SearchError(problem, at, hint)

    def _literal(self, key: str) -> str:
        """Return a value as it stands, up to a blank or bracket."""
        at = self._at
        if self._text[at : at + 1] == '"':
            return self._quoted()
        value = self._until(_ENDS_VALUE - {","})
        if not value:
            raise SearchError(f"“{key}” has no value", at, "Write one.")
        return value

    def _bare_value(self) -> str:
        return self._until(_ENDS_VALUE)

    def _until(self, ends: frozenset[str]) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in ends:
            self._at += 1
        return self._text[start : self._at]

    def _next(self) -> str:
        """Return the next character that is not blank; empty at the end."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _is_word(self, word: str) -> bool:
        self._next()
        end = self._at + len(word)
        after = self._text[end : end + 1]
        return self._text[self._at : end] == word and (not after or after.isspace() or after == "(")

    def _takes_word(self, word: str) -> bool:
        found = self._is_word(word)
        if found:
            self._at += len(word)
        return found

    def _check_depth(self) -> None:
        if self._depth > _DEEPEST:
            raise SearchError("too many brackets", self._at, f"Use {_DEEPEST} levels at most.")
