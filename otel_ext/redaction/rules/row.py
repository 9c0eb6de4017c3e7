"""Defines a row of the table of rules, and how its literals become the prefilter."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["MARK", "Row", "Span", "any_of", "token", "within"]

MARK: Final = re.compile(r"\[redacted: [a-z-]{1,32}(?: hmac:[0-9a-f]{32})?\]")
"""Matches the marks that replace secrets."""


class Span(NamedTuple):
    """A secret in a text: its start, its end, and the rule that found it."""

    start: int
    end: int
    rule: str


class Row(NamedTuple):
    """One rule for secrets with a recognizable form.

    Attributes:
        rule: The rule's name, shown in the mark.
        literals: In lower case; a text without any of them is not searched.
        form: A regular expression that takes linear time, best with a literal first, since
            that is found fast. The secret is the group that matched, or the whole match.
        goes: Examples with the secret between `⟦` and `⟧`; the tests run them.
        stays: Examples that are left as they are; the tests run them.
        judge: Returns whether a match is a secret; None if all are.
        tails: For tokens: the expression after each literal that they begin with.
    """

    rule: str
    literals: tuple[str, ...]
    form: str
    goes: tuple[str, ...]
    stays: tuple[str, ...] = ()
    judge: Callable[[str], bool] | None = None
    tails: Mapping[str, str] = MappingProxyType({})


def any_of(words: Mapping[str, str], space: str = " ") -> str:
    """Return an expression for the longest of `words`, with what must follow it.

    It reads each letter once and tries only positions where a word can begin.

    Args:
        words: Literals, and the expression after each.
        space: The expression for a space in them.

    >>> any_of({"key": "", "keys": "=", "kex": "[0-9]"})
    'ke(?:x[0-9]|y(?:s=|))'
    """
    heads: dict[str, dict[str, str]] = {}
    for word, tail in words.items():
        heads.setdefault(word[:1], {})[word[1:]] = tail
    end = heads.pop("", None)
    parts = [
        (space if head == " " else re.escape(head)) + any_of(tails, space)
        for head, tails in sorted(heads.items())
    ]
    if end is not None:
        parts.append(end[""])
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def token(
    rule: str, beginnings: str, rest: str, goes: Iterable[str], stays: Iterable[str] = ()
) -> Row:
    r"""Return the row of tokens that begin with a literal that no letter or digit precedes.

    Args:
        rule: The rule's name.
        beginnings: The literals, with spaces between.
        rest: The expression for what follows them.
        goes: As in `Row`.
        stays: As in `Row`.

    >>> token("api-key", "ghp_ gho_", r"[A-Za-z0-9]{36}", ()).literals
    ('ghp_', 'gho_')
    """
    tails = {one: f"(?<![A-Za-z0-9]{re.escape(one)}){rest}" for one in beginnings.split()}
    literals = tuple(map(str.lower, tails))
    return Row(rule, literals, any_of(tails), tuple(goes), tuple(stays), tails=tails)


def within(
    rule: str,
    context: str,
    form: str,
    goes: Iterable[str],
    stays: Iterable[str] = (),
    judge: Callable[[str], bool] | None = None,
) -> Row:
    """Return the row of a form that counts only in texts with certain words.

    Args:
        rule: The rule's name.
        context: Words in lower case, with `|` between; the text must have one of them.
        form: As in `Row`.
        goes: As in `Row`.
        stays: As in `Row`.
        judge: As in `Row`.
    """
    return Row(rule, tuple(context.split("|")), form, tuple(goes), tuple(stays), judge)
