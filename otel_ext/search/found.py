"""`SearchedTree`: which spans of a trace a search finds."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from otel_ext.analysis.critical_path import critical_path, path_roots
from otel_ext.analysis.self_time import self_times
from otel_ext.analysis.traces.times import times_of
from otel_ext.record.model import EMPTY
from otel_ext.search.nodes import And, Field, Has, Not, Or, Relative, Text
from otel_ext.search.parse import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.search.nodes import Node, Test

__all__ = ["SearchedTree", "holds", "needs_attributes", "needs_logs"]


class SearchedTree:
    """A trace in which spans are searched.

    Args:
        tree: The trace.
        services: The service of each process, by its id.
        attributes: Returns the attributes of a span, by its number.
        logs: Returns level and text of each log of a span, by its number.
        now_ns: The time, nanoseconds since the epoch.

    >>> from otel_ext.analysis.traces.span import Span
    >>> from otel_ext.analysis.traces.tree import make_tree
    >>> from otel_ext.search.parse import parse
    >>> tree = make_tree([Span("t", "a", "", "checkout", "error", 0, 10**9, 10**9)])
    >>> SearchedTree(tree).find(parse("error dur:>500ms"))
    {0}
    """

    def __init__(
        self,
        tree: TraceTree,
        services: Mapping[str, str] | None = None,
        attributes: Callable[[int], Mapping[str, object]] | None = None,
        logs: Callable[[int], Sequence[tuple[str, str]]] | None = None,
        now_ns: int = 0,
    ) -> None:
        self._tree = tree
        self._services = services or {}
        self._attributes = attributes or _no_attributes
        self._logs = logs or _no_logs
        self._now_ns = now_ns
        spans = tree.spans
        self._fields: dict[str, Callable[[int], object]] = {
            "name": lambda number: spans[number].name,
            "service": lambda number: self._services.get(spans[number].process, ""),
            "kind": lambda number: spans[number].kind,
            "state": lambda number: spans[number].state,
            "dur": self._duration,
            "self": lambda number: self._own[number],
            "age": lambda number: now_ns - spans[number].start_ns if spans[number].is_open else "",
            "trace": lambda number: spans[number].trace_id,
            "span": lambda number: spans[number].span_id,
            "process": lambda number: spans[number].process,
            "thread": lambda number: spans[number].lineage[1] or "",
            "task": lambda number: spans[number].lineage[3],
            "file": self._place,
            "error": lambda number: spans[number].error,
            "since": lambda number: spans[number].start_ns,
            "at": lambda number: _time_of_day(spans[number].start_ns),
        }
        self._roles: dict[str, Callable[[int], bool]] = {
            "root": lambda number: tree.parents[number] < 0,
            "leaf": lambda number: not tree.children[number],
            "critical": lambda number: number in self._critical,
            "orphan": self._is_orphan,
        }

    def find(self, node: Node) -> set[int]:
        """Return the numbers of the spans that a search finds."""
        if isinstance(node, And):
            found = self._every()
            for item in node.items:
                found &= self.find(item)
            return found
        if isinstance(node, Or):
            return set[int]().union(*map(self.find, node.items))
        if isinstance(node, Not):
            return self._every() - self.find(node.item)
        if isinstance(node, Relative):
            return self._related(node)
        return {one for one in self._every() if self._has(node, one)}

    def _every(self) -> set[int]:
        return set(range(len(self._tree.spans)))

    def _has(self, node: Text | Has | Field, number: int) -> bool:
        if isinstance(node, Text):
            wanted = node.value.casefold()
            return any(wanted in text for text in self._texts(number))
        if isinstance(node, Has):
            return bool(self._values(node.key, number))
        return self._matches(node, number)

    def _related(self, node: Relative) -> set[int]:
        found = self.find(node.item)
        parents = self._tree.parents
        if node.relation == "has-child":
            return {parents[one] for one in found if parents[one] >= 0}
        below: set[int] = set()
        for one, parent in enumerate(parents):  # parents before children
            if parent in found or parent in below:
                below.add(one)
        return below

    def _texts(self, number: int) -> Iterable[str]:
        span = self._tree.spans[number]
        yield span.name.casefold()
        yield span.error.casefold()
        for value in self._attributes(number).values():
            yield str(value).casefold()
        for _, text in self._logs(number):
            yield text.casefold()

    def _matches(self, field: Field, number: int) -> bool:
        if field.key == "since":
            return any(
                self._now_ns - int(tests[0].value) <= self._start(number) for tests in field.tests
            )
        if field.key == "is":  # only the roles that are asked for: paths take long to find
            return any(
                all(holds(test, word) for test in tests) and has_role(number)
                for tests in field.tests
                for word, has_role in self._roles.items()
            )
        values = self._values(field.key, number)
        return any(
            all(holds(test, value) for test in tests) for tests in field.tests for value in values
        )

    def _start(self, number: int) -> int:
        return self._times.starts[number]

    def _values(self, key: str, number: int) -> Sequence[object]:
        """Return the values of a field or an attribute; none if the span does not have it."""
        if key not in FIELDS:
            attributes = self._attributes(number)
            return (attributes[key],) if key in attributes else ()
        if key == "is":
            return [word for word, holds in self._roles.items() if holds(number)]
        if key in {"level", "log"}:
            return [level if key == "level" else text for level, text in self._logs(number)]
        value = self._fields[key](number)
        return () if value == "" else (value,)

    def _duration(self, number: int) -> object:
        is_missing = self._tree.spans[number].state == "missing"
        return "" if is_missing else self._times.duration(number)

    def _place(self, number: int) -> str:
        file, line, _ = self._tree.spans[number].site
        return f"{file}:{line}" if line else ""

    @cached_property
    def _times(self) -> Times:
        return times_of(self._tree)

    def _is_orphan(self, number: int) -> bool:
        parent = self._tree.parents[number]
        return parent >= 0 and self._tree.spans[parent].state == "missing"

    @cached_property
    def _own(self) -> list[int]:
        return self_times(self._tree, self._times)

    @cached_property
    def _critical(self) -> frozenset[int]:
        found: set[int] = set()
        for root in path_roots(self._tree, self._times):
            segments = critical_path(self._tree, self._times, root).segments
            found.update(segment.span for segment in segments)
        return frozenset(found)


def needs_attributes(node: Node) -> bool:
    """Whether a search looks at attributes, which have to be read for it."""
    return _any_term(node, lambda term: isinstance(term, Text) or term.key not in FIELDS)


def needs_logs(node: Node) -> bool:
    """Whether a search looks at logs, which have to be read for it."""
    return _any_term(node, lambda term: isinstance(term, Text) or term.key in {"level", "log"})


def _any_term(node: Node, holds: Callable[[Text | Has | Field], bool]) -> bool:
    if isinstance(node, (And, Or)):
        return any(_any_term(item, holds) for item in node.items)
    if isinstance(node, (Not, Relative)):
        return _any_term(node.item, holds)
    return holds(node)


def _no_attributes(_number: int) -> Mapping[str, object]:
    return EMPTY


def _no_logs(_number: int) -> Sequence[tuple[str, str]]:
    return ()


def _time_of_day(time_ns: int) -> str:
    """Return the local time of day, as it is written and compared: `12:01:05`."""
    return datetime.fromtimestamp(time_ns / 1e9).astimezone().strftime("%H:%M:%S")


def holds(test: Test, value: object) -> bool:
    """Whether a value passes a test."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if test.operator == "is":
        return text == test.value
    if test.operator == "prefix":
        return text.startswith(test.value)
    if test.operator == "matches":
        return re.search(test.value, text) is not None
    left, right = _number(value), _number(test.value)
    if left is None or right is None:
        if isinstance(value, (int, float)) or (left is None) != (right is None):
            return False
        return _compare(test.operator, (text > test.value) - (text < test.value))
    return _compare(test.operator, (left > right) - (left < right))


def _compare(operator: str, order: int) -> bool:
    if order == 0:
        return operator in {"<=", ">="}
    return operator in ({">", ">="} if order > 0 else {"<", "<="})


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
