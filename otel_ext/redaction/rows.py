"""What a row of the table of rules is, and how its prefilter follows from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        form: The secret is its first group, or all of it where it has none.
        goes: Texts with the secret between `⟦` and `⟧`; the tests run them.
        stays: Texts that are left as they are; the tests run them.
        is_random: Whether the secret must also look random: letters and digits mixed.
        is_token: Whether the secret begins with one of the literals, behind no letter or digit.
    """

    rule: str
    literals: tuple[str, ...]
    form: re.Pattern[str]
    goes: tuple[str, ...]
    stays: tuple[str, ...] = ()
    is_random: bool = False
    is_token: bool = False


def any_of(words: Iterable[str], space: str = " ", border: str = "") -> str:
    """Return an expression for the longest of `words` that reads each letter once.

    Args:
        words: Literals.
        space: What a space in them stands for.
        border: What must hold before them, with `{}` for their first letter; a search
            that begins with a letter, and looks back from there, is the quickest.

    >>> any_of(["key", "keys", "kex"])
    'ke(?:x|y(?:s)?)'
    """
    heads: dict[str, list[str]] = {}
    for word in words:
        heads.setdefault(word[:1], []).append(word[1:])
    is_end = heads.pop("", None) is not None
    parts = [
        (space if head == " " else re.escape(head))
        + border.format(re.escape(head))
        + any_of(tails, space)
        for head, tails in sorted(heads.items())
    ]
    if is_end:
        return f"(?:{'|'.join(parts)})?" if parts else ""
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def token(
    rule: str, beginnings: str, rest: str, goes: Iterable[str], stays: Iterable[str] = ()
) -> Row:
    r"""Return the row of tokens that begin with one of some literals.

    Args:
        rule: What the mark says.
        beginnings: The literals, with spaces between.
        rest: The expression for what follows them.
        goes: As in `Row`.
        stays: As in `Row`.

    >>> row = token("api-key", "ghp_ gho_", r"[A-Za-z0-9]{36}", ())
    >>> row.literals
    ('ghp_', 'gho_')
    """
    literals = beginnings.split()
    either = any_of(literals, border="(?<![A-Za-z0-9]{})")
    return Row(
        rule,
        tuple(literal.lower() for literal in literals),
        re.compile(rf"(?:{either}){rest}", re.ASCII),
        tuple(goes),
        tuple(stays),
        is_token=True,
    )


def within(
    rule: str,
    context: str,
    form: str,
    goes: Iterable[str],
    stays: Iterable[str] = (),
    *,
    is_random: bool = False,
) -> Row:
    """Return the row of a form that tells a secret only in texts with certain words.

    Args:
        rule: What the mark says.
        context: Words in small letters, with `|` between; the text must have one of them.
        form: The expression; it is linear, with bounded repetitions.
        goes: As in `Row`.
        stays: As in `Row`.
        is_random: As in `Row`.
    """
    words = tuple(context.split("|"))
    return Row(rule, words, re.compile(form), tuple(goes), tuple(stays), is_random)
