r"""Matches the users' patterns in time proportional to the text, whatever the pattern.

Each pattern becomes an automaton (Thompson, 1968) whose states are made when first
reached. One pass over a text finds whether there is a match at all; only then, a limited
number of further passes find where.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.redaction.patterns import Node, Pattern

__all__ = ["Automaton"]

_MAX_STATES: Final = 1_000
_MAX_EDGES: Final = 2_048
# The most passes over a text to find the ends of its matches.
_PASSES: Final = 16
_ACCEPT: Final = 0

_Nodes: TypeAlias = "frozenset[int]"
_Test: TypeAlias = "Callable[[str], object]"


class _State:
    """A set of nodes of the pattern, and the state that each character leads to."""

    __slots__ = ("accepts", "accepts_at_end", "edges", "nodes")

    def __init__(self, nodes: _Nodes, accepts_at_end: bool) -> None:  # noqa: FBT001 - private
        self.nodes = nodes
        self.accepts = _ACCEPT in nodes
        self.accepts_at_end = accepts_at_end
        self.edges: dict[str, _State] = {}


class Automaton:
    r"""One pattern, ready to be searched for.

    >>> from otel_ext.redaction.patterns import parse_pattern
    >>> Automaton(parse_pattern(r"EMP-\d{3,6}")).spans("of EMP-12 and EMP-345.")
    [(14, 21)]
    """

    def __init__(self, pattern: Pattern) -> None:
        self._flags = re.IGNORECASE if pattern.ignore_case else re.UNICODE
        # For each node: a character's test and the next node, or the nodes reached without one.
        self._tests: list[tuple[_Test, int] | None] = [None]
        self._jumps: list[tuple[int, ...]] = [()]
        self._begins: set[int] = set()
        self._ends: set[int] = set()
        self._start = self._build(pattern.root, _ACCEPT)
        self._states: dict[tuple[_Nodes, bool], _State] = {}
        self._at_start = self._closure([self._start], at_begin=True)
        self._inside = self._closure([self._start])

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in `text`."""
        state = self._state(self._at_start, restarts=True)
        for character in text:
            if state.accepts:
                return True
            state = state.edges.get(character) or self._follow(state, character, restarts=True)
        return state.accepts or state.accepts_at_end

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the matches: the longest from the left, then the next one after it.

        If finding their ends takes too many steps, the rest of the text counts as one match.
        """
        found: list[tuple[int, int]] = []
        if not self.matches(text):
            return found
        budget = (len(text) + 1) * _PASSES
        at = 0
        while at < len(text):
            end, steps = self._longest(text, at)
            budget -= steps
            if budget < 0:
                found.append((at, len(text)))
                break
            if end > at:
                found.append((at, end))
            at = max(end, at + 1)
        return found

    def _longest(self, text: str, at: int) -> tuple[int, int]:
        """Return the end of the longest match that begins at `at`, and the steps it took."""
        state = self._state(self._inside if at else self._at_start, restarts=False)
        best = here = at
        while state.nodes and here < len(text):
            character = text[here]
            state = state.edges.get(character) or self._follow(state, character, restarts=False)
            here += 1
            if state.accepts:
                best = here
        if here == len(text) and state.accepts_at_end:
            best = here
        return best, here - at + 1

    def _follow(self, state: _State, character: str, *, restarts: bool) -> _State:
        """Return the state that `character` leads to, created if it is new."""
        reached: list[int] = []
        for node in state.nodes:
            step = self._tests[node]
            if step is not None and step[0](character):
                reached.append(step[1])
        nodes = self._closure(reached)
        if restarts:
            nodes |= self._inside
        following = self._state(nodes, restarts=restarts)
        if len(state.edges) >= _MAX_EDGES:
            state.edges.clear()
        state.edges[character] = following
        return following

    def _state(self, nodes: _Nodes, *, restarts: bool) -> _State:
        found = self._states.get((nodes, restarts))
        if found is None:
            if len(self._states) >= _MAX_STATES:
                # Their edges refer to one another: cut them, so that memory is freed.
                for state in list(self._states.values()):
                    state.edges = {}
                self._states = {}
            at_end = _ACCEPT in self._closure(nodes, at_end=True)
            found = self._states[nodes, restarts] = _State(nodes, at_end)
        return found

    def _closure(
        self, nodes: Iterable[int], *, at_begin: bool = False, at_end: bool = False
    ) -> _Nodes:
        """Return `nodes` and all nodes reached from them without a character."""
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found.add(node)
            if (node in self._begins and not at_begin) or (node in self._ends and not at_end):
                continue
            waiting += self._jumps[node]
        return frozenset(found)

    def _add(self, jumps: tuple[int, ...], step: tuple[_Test, int] | None = None) -> int:
        self._tests.append(step)
        self._jumps.append(jumps)
        return len(self._jumps) - 1

    def _build(self, node: Node, follows: int) -> int:
        """Add the nodes for `node`, followed by `follows`; return the first of them."""
        if node.operation == "char":
            return self._add((), (re.compile(node.source, self._flags).match, follows))
        if node.operation == "any":
            return self._add(tuple(self._build(part, follows) for part in node.parts))
        if node.operation == "repeat":
            return self._build_repeat(node, follows)
        if node.operation == "all":
            for part in reversed(node.parts):
                follows = self._build(part, follows)
            return follows
        anchor = self._add((follows,))
        (self._begins if node.operation == "begin" else self._ends).add(anchor)
        return anchor

    def _build_repeat(self, node: Node, follows: int) -> int:
        part = node.parts[0]
        if node.most is None:
            loop = self._add(())
            self._jumps[loop] = (self._build(part, loop), follows)
            follows = loop
        else:
            after = follows
            for _ in range(node.most - node.least):
                follows = self._add((self._build(part, follows), after))
        for _ in range(node.least):
            follows = self._build(part, follows)
        return follows
