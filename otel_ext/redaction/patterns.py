r"""Parses users' patterns: the subset of regular expressions that matches in linear time.

Python's `re` backtracks, and some patterns make it try exponentially many ways:
`(a+)+$` once stalled a program for half a minute. The patterns parsed here are matched
by an automaton that reads each character once (`otel_ext.redaction.automaton`).
Backreferences and lookarounds, which an automaton cannot match, are errors.

========================  ==============================================
``a`` ``.`` ``[a-z]``     a character, any but a newline, one of a set
``\d`` ``\w`` ``\s``      a digit, a word character, white space
``x*`` ``x+`` ``x?``      any number, at least one, one or none
``x{2}`` ``x{2,}`` ..     that many
``x|y`` ``(x)``           either; a group
``^`` ``$``               the start; the end
``(?i)`` in front         upper and lower case are the same
========================  ==============================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from otel_ext.settings.kinds import NotAllowedError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_NODES", "Node", "Pattern", "PatternError", "parse_pattern"]

MAX_LENGTH: Final = 1_000
MAX_NODES: Final = 500
"""The largest size of a pattern, in nodes, with its repetitions written out."""

_MAX_DEPTH: Final = 20
_MAX_REPEAT: Final = 255
_REPEAT: Final = re.compile(r"\{([0-9]{1,3})(?:(,)([0-9]{1,3})?)?\}")
_SIMPLE: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CLASSES: Final = "dDwWsS"
_CONTROLS: Final = "nrtfv0"

Operation = Literal["char", "begin", "end", "all", "any", "repeat"]


class PatternError(NotAllowedError):
    """A pattern is not valid, or cannot be matched in linear time."""


class Node(NamedTuple):
    """A part of a pattern: an operation and the parts that it applies to."""

    operation: Operation
    parts: tuple[Node, ...] = ()
    source: str = ""
    least: int = 1
    most: int | None = 1


class Pattern(NamedTuple):
    """A parsed pattern."""

    text: str
    root: Node
    ignore_case: bool


def parse_pattern(text: str) -> Pattern:
    r"""Parse the pattern `text`.

    Raises:
        PatternError: It is not valid, too large, or outside the supported subset.

    >>> parse_pattern(r"EMP-\d{6}").text
    'EMP-\\d{6}'
    >>> parse_pattern(r"(a)\1")
    Traceback (most recent call last):
    otel_ext.redaction.patterns.PatternError: '(a)\\1': backreferences ... are not supported
    """
    if not text.strip():
        raise PatternError("a pattern is empty")
    if len(text) > MAX_LENGTH:
        raise PatternError(f"{short_repr(text)} is longer than {MAX_LENGTH} characters")
    ignore_case = text.startswith("(?i)")
    parser = _Parser(text, 4 if ignore_case else 0)
    root = parser.parse()
    if _size(root) > MAX_NODES:
        raise PatternError(f"{short_repr(text)} repeats too much: write smaller numbers in {{}}")
    if _may_be_empty(root):
        raise PatternError(f"{short_repr(text)} matches empty text, so it would match everywhere")
    return Pattern(text, root, ignore_case)


class _Parser:
    """Parses one pattern from left to right."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._depth = 0

    def parse(self) -> Node:
        node = self._either()
        if self._at < len(self._text):
            raise self._error("has a ) without a (")
        return node

    def _error(self, what: str) -> PatternError:
        return PatternError(f"{short_repr(self._text)}: {what}")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _either(self) -> Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Node("any", tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._quantified(self._atom()))
        return parts[0] if len(parts) == 1 else Node("all", tuple(parts))

    def _quantified(self, atom: Node) -> Node:
        found = self._quantifier()
        if found is None:
            return atom
        if atom.operation in {"begin", "end"}:
            raise self._error("^ and $ cannot be repeated")
        if self._quantifier() is not None:
            raise self._error(
                "quantifiers such as *? and ++ are not supported; leave the second out"
            )
        return Node("repeat", (atom,), least=found[0], most=found[1])

    def _quantifier(self) -> tuple[int, int | None] | None:
        simple = _SIMPLE.get(self._peek())
        if simple is not None:
            self._at += 1
            return simple
        match = _REPEAT.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise self._error(
                f"{match[0]} is not a valid repetition: use numbers up to {_MAX_REPEAT}"
            )
        return least, most

    def _atom(self) -> Node:
        character = self._peek()
        readers: dict[str, Callable[[], Node]] = {
            "(": self._group,
            "[": self._set,
            "\\": self._escape,
        }
        if character in readers:
            return readers[character]()
        if character in _SIMPLE:
            raise self._error(f"{character} has nothing to repeat")
        self._at += 1
        if character == "^":
            return Node("begin")
        if character == "$":
            return Node("end")
        return Node("char", source=character if character == "." else re.escape(character))

    def _group(self) -> Node:
        self._at += 1
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._error(
                    "groups with (? are not supported (lookarounds, names, flags), except"
                    " (?: and a (?i) in front"
                )
            self._at += 2
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error("has too many groups within groups")
        node = self._either()
        self._depth -= 1
        if self._peek() != ")":
            raise self._error("has a ( without a )")
        self._at += 1
        return node

    def _set(self) -> Node:
        start = self._at
        self._at += 2 if self._text[start : start + 2] == "[^" else 1
        if self._peek() == "]":
            self._at += 1
        while self._peek() not in {"]", ""}:
            self._at += 2 if self._peek() == "\\" else 1
        self._at += 1
        source = self._text[start : self._at]
        # `re` reserves a nested set for a later Python.
        if not source.endswith("]") or "[" in source[1:].replace("\\[", ""):
            raise self._error(f"{source} is not a valid set; write \\[ for a bracket")
        return self._checked(source)

    def _escape(self) -> Node:
        character = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if character.isdigit() and character != "0":
            raise self._error("backreferences such as \\1 are not supported")
        if character.isalnum() and character not in _CLASSES + _CONTROLS:
            raise self._error(f"\\{character} is not supported")
        return self._checked(f"\\{character}")

    def _checked(self, source: str) -> Node:
        try:
            re.compile(source)
        except (re.error, Warning) as error:
            raise self._error(f"{source} is wrong: {error}") from None
        return Node("char", source=source)


def _size(node: Node) -> int:
    """Return how many nodes `node` has with its repetitions written out."""
    inner = sum(map(_size, node.parts)) + 1
    if node.operation != "repeat":
        return inner
    return inner * max(node.least + (1 if node.most is None else 0), node.most or 0, 1)


def _may_be_empty(node: Node) -> bool:
    if node.operation == "any":
        return any(map(_may_be_empty, node.parts))
    if node.operation == "repeat" and node.least == 0:
        return True
    return node.operation != "char" and all(map(_may_be_empty, node.parts))
