"""Turns a search into conditions on traces that SQLite can look up.

What is narrowed too little is only slower: whoever asks checks each trace. What cannot be looked
up, such as a range of an attribute, does not narrow at all. Spans that are open are not in the
index of texts, so traces with open spans always remain.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.search.nodes import And, Field, Or, Relative, Text
from otel_ext.search.parse import FIELDS
from otel_ext.store.sqlite.texts import attribute_match, text_match
from otel_ext.store.sqlite.traces import MOST_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_ext.search.nodes import Node, Operator, Test

__all__ = ["Narrowed", "narrow"]


class Narrowed(NamedTuple):
    """Conditions that hold for each trace in which something is found.

    Attributes:
        where: On the row of the trace; empty for none.
        values: Of the marks in `where`.
        spans: An expression for the index of spans; empty for none.
        logs: Expressions for the index of logs, one of which may hold instead.
    """

    where: str = ""
    values: tuple[object, ...] = ()
    spans: str = ""
    logs: tuple[str, ...] = ()


_ALL: Final = Narrowed()
_STATES: Final = {
    **dict.fromkeys(("running", "stalled", "blocked", "hung", "lost"), "open"),
    "error": "errors",
    "abandoned": "abandoned",
    "cancelled": "cancelled",
}
# Of more processes only the first are noted.
_MANY_PROCESSES: Final = f"json_array_length(processes) >= {MOST_PROCESSES}"


def narrow(node: Node | None, processes_of: Callable[[Test], Sequence[int]]) -> Narrowed:
    """Return the conditions for a search.

    Args:
        node: The search; None for one that finds everything.
        processes_of: Returns the numbers of the processes whose service passes a test.
    """
    if isinstance(node, And):
        return reduce(_both, (narrow(item, processes_of) for item in node.items), _ALL)
    if isinstance(node, Or):
        return reduce(_either, [narrow(item, processes_of) for item in node.items])
    if isinstance(node, Relative):
        # What it is about is another span, whose texts may be in another row of the index.
        return narrow(node.item, processes_of)._replace(spans="", logs=())
    if isinstance(node, Text):
        found = text_match(node.value)
        return Narrowed(spans=found, logs=(found,)) if found else _ALL
    if isinstance(node, Field):
        parts = [_test(node.key, tests, processes_of) for tests in node.tests]
        return reduce(_either, parts) if parts else _ALL
    return _ALL


def _both(one: Narrowed, other: Narrowed) -> Narrowed:
    spans = " AND ".join(f"({text})" for text in (one.spans, other.spans) if text)
    where = " and ".join(f"({text})" for text in (one.where, other.where) if text)
    return Narrowed(where, one.values + other.values, spans, one.logs + other.logs)


def _either(one: Narrowed, other: Narrowed) -> Narrowed:
    """Return conditions of which one side holds; a side without a condition removes the other."""
    where, values = "", tuple[object, ...]()
    if one.where and other.where:
        where, values = f"({one.where}) or ({other.where})", one.values + other.values
    if not one.spans or not other.spans:
        return Narrowed(where, values)
    return Narrowed(where, values, f"({one.spans}) OR ({other.spans})", one.logs + other.logs)


def _test(
    key: str, tests: Sequence[Test], processes_of: Callable[[Test], Sequence[int]]
) -> Narrowed:
    """Return the conditions for a field for which all of some tests hold."""
    return reduce(_both, (_one_test(key, test, processes_of) for test in tests), _ALL)


def _one_test(key: str, test: Test, processes_of: Callable[[Test], Sequence[int]]) -> Narrowed:
    if key == "service":
        numbers = processes_of(test)
        marks = ", ".join("?" * len(numbers))
        where = f"exists (select 1 from json_each(processes) where value in ({marks}))"
        return Narrowed(f"{where} or {_MANY_PROCESSES}", tuple(numbers))
    if key in {"dur", "self"} and test.operator in {">", ">="}:
        return Narrowed("end_ns - start_ns >= ? or open > 0", (int(test.value),))
    if key == "trace":
        digits = "".join(character for character in test.value if character.isalnum())
        return Narrowed("lower(hex(id)) glob ?", (f"{digits}*",))
    return _exact(key, test.value, test.operator) if test.operator in {"is", "prefix"} else _ALL


def _exact(key: str, value: str, operator: Operator) -> Narrowed:
    """Return the conditions for a field that has a value, or that begins with it."""
    is_whole = operator == "is"
    if key not in FIELDS:
        return Narrowed(spans=attribute_match(key, value, is_whole=is_whole))
    if key in {"name", "error"}:
        return Narrowed(spans=text_match(f"\n{value}" + ("\n" if is_whole else "")))
    if key == "state" and value in _STATES:
        return Narrowed(f"{_STATES[value]} > 0 or repeats > 0")
    return _ALL
