"""What a row of the table of rules is, and how its prefilter follows from it."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["MARK", "Row", "Span", "any_of", "token", "within"]

MARK: Final = re.compile(r"\[redacted: [a-z-]{1,32}(?: hmac:[0-9a-f]{32})?\]")
"""What stands in the place of a secret."""


class Span(NamedTuple):
    """A secret in a text: from where to where, by which rule."""

    start: int
    end: int
    rule: str


class Row(NamedTuple):
    """One rule for secrets that have a form of their own.

    Attributes:
        rule: What the mark in the place of the secret says.
        literals: In small letters; a text without any of them is not searched.
        form: An expression, best with a literal in front, which a search finds quickly. It
            is linear. The secret is the group that matched, or all of it where it has none.
        goes: Texts with the secret between `⟦` and `⟧`; the tests run them.
        stays: Texts that are left as they are; the tests run them.
        judge: Tells of what the form finds whether it is a secret; None if all of it is.
        tails: Of tokens: what follows each of the literals that they begin with.
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

    Each letter is read once, and a search looks only at the letters that a word begins with.

    Args:
        words: Literals, and the expression behind each.
        space: What a space in them stands for.

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
    r"""Return the row of tokens that begin with a literal, behind no letter or digit.

    Args:
        rule: What the mark says.
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
    """Return the row of a form that tells a secret only in texts with certain words.

    Args:
        rule: What the mark says.
        context: Words in small letters, with `|` between; the text must have one of them.
        form: As in `Row`.
        goes: As in `Row`.
        stays: As in `Row`.
        judge: As in `Row`.
    """
    return Row(rule, tuple(context.split("|")), form, tuple(goes), tuple(stays), judge)
