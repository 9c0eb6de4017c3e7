"""Defines the shape that all rules share: each is one row of a table."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.redaction.scan.folding import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Row", "Span", "any_of", "named", "token", "within"]

_VALUE: Final = "k7Hq29xZp1Lm"


class Span(NamedTuple):
    """A secret in a text: its start, its end, and the rule that found it."""

    start: int
    end: int
    rule: str


class Row(NamedTuple):
    """One rule: how a kind of secret is recognized, and what of it is redacted.

    Attributes:
        rule: The rule's name, shown in the mark.
        literals: In lower case; a text without any of them is not searched.
        form: A regular expression that takes linear time, best with a literal first, since
            that is found fast. The secret is the group that matched, or the whole match.
            In the row of a name it finds the words of the name, and the secret is its value.
        examples: Texts that the tests run. What is redacted is between `⟦` and `⟧`; a text
            without them stays as it is.
        judge: Returns whether a match is a secret; None if all are.
        tails: For tokens: the expression after each literal that they begin with.
    """

    rule: str
    literals: tuple[str, ...]
    form: str
    examples: tuple[str, ...]
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


def token(rule: str, beginnings: str, rest: str, *examples: str) -> Row:
    r"""Return the row of tokens that begin with a literal that no letter or digit precedes.

    Args:
        rule: As in `Row`.
        beginnings: The literals, with spaces between.
        rest: The expression for what follows them.
        examples: As in `Row`.

    >>> token("api-key", "ghp_ gho_", r"[A-Za-z0-9]{36}").literals
    ('ghp_', 'gho_')
    """
    tails = {one: f"(?<![A-Za-z0-9]{re.escape(one)}){rest}" for one in beginnings.split()}
    return Row(rule, tuple(map(str.lower, tails)), any_of(tails), examples, tails=tails)


def within(
    rule: str, words: str, form: str, *examples: str, judge: Callable[[str], bool] | None = None
) -> Row:
    """Return the row of a form that counts only in texts with one of the words.

    Args:
        rule: As in `Row`, like the other arguments.
        words: The literals, with `|` between.
        form: The expression.
        examples: Texts for the tests.
        judge: Returns whether a match is a secret.
    """
    return Row(rule, tuple(words.split("|")), form, examples, judge)


def named(rule: str, phrases: str, goes: str, stays: str) -> Row:
    """Return the row of names whose values are secrets.

    Args:
        rule: As in `Row`.
        phrases: The words of the names, with `|` between. They may be written together or
            apart (`api_key`), and other words may surround them. Letters may precede a
            phrase with `*` right before it, and nothing may follow one with `$` behind it.
        goes: Names of secrets, with spaces between, as examples.
        stays: Names of harmless values.

    >>> named("authorization", "auth$|cred", "proxy.auth", "").form
    '_(?:auth_$|creds?_)'
    """
    words: list[str] = []
    glued: list[str] = []
    for phrase in fold(phrases).split("|"):
        if phrase[0] == "*":
            glued.append(phrase[1:])
        else:
            words.append(f"{phrase[:-1]}_$" if phrase[-1] == "$" else f"{phrase}s?_")
    form = f"_(?:{'|'.join(words)})".replace(" ", "_?")
    if glued:
        form += f"|(?:{'|'.join(glued)})s?[0-9]?_"
    examples = (
        *(f"{one}=⟦{_VALUE}⟧" for one in goes.split()),
        *(f"{one}={_VALUE}" for one in stays.split()),
    )
    return Row(rule, tuple(phrases.split("|")), form, examples)
