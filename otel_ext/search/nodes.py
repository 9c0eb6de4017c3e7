"""What a search consists of, once it is parsed."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["And", "Field", "Has", "Node", "Not", "Operator", "Or", "Relative", "Test", "Text"]

Operator: TypeAlias = Literal["is", "prefix", "matches", "<", "<=", ">", ">="]
"""`is`: the same text; `prefix`: begins with it; `matches`: by a regular expression."""


class Test(NamedTuple):
    """One condition on a value."""

    operator: Operator
    value: str


class Text(NamedTuple):
    """A text anywhere: in the name, the error, an attribute or a log."""

    value: str


class Field(NamedTuple):
    """A field, of which one of several groups of tests holds: `key:1..5,9` has two."""

    key: str
    tests: tuple[tuple[Test, ...], ...]


class Has(NamedTuple):
    """A field that a span has, whatever its value."""

    key: str


class Relative(NamedTuple):
    """Spans below one that is found (`under`), or with one among their children (`has-child`)."""

    relation: Literal["under", "has-child"]
    item: Node


class Not(NamedTuple):
    """What is not found."""

    item: Node


class And(NamedTuple):
    """What all of them find."""

    items: tuple[Node, ...]


class Or(NamedTuple):
    """What one of them finds."""

    items: tuple[Node, ...]


Node: TypeAlias = Text | Field | Has | Relative | Not | And | Or
