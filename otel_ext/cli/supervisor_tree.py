"""Draws the supervisors of running programs as trees, each child with its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.terminal.table import Column, table_lines
from otel_ext.terminal.text import LONGEST, printable
from otel_ext.terminal.tree import branches, grow, roots_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otel_ext.observe.entities import ObservedEntity
    from otel_ext.terminal.canvas import Canvas

__all__ = ["supervisor_lines"]

_COLUMNS: Final = (
    Column("SUPERVISOR", share=0.35),
    Column("STATE"),
    Column("RESTARTS", is_number=True),
    Column("PROCESS", share=0.15, optional=1),
    Column("SPAN", share=0.2, optional=2),
    Column("ERROR", share=0.3),
)
_MAX_INDENT: Final = 12
_TYPES: Final = ("supervisor", "child")
_STYLES: Final = {
    "backoff": "yellow",
    "stopping": "yellow",
    "hung": "red",
    "blocked": "yellow",
    "lost": "red",
    "failed": "red",
}


def supervisor_lines(entities: Iterable[ObservedEntity], canvas: Canvas) -> Iterator[str]:
    """Yield the headings and one line for each supervisor and child, without newlines.

    Nothing is yielded if there are none. A supervisor that is a child has one line for both.

    Args:
        entities: The entities of a snapshot; all but supervisors and their children are left out.
        canvas: Width, colors and branches.
    """
    found = [one for one in entities if one.entity.type in _TYPES]
    if not found:
        return
    children = {_place(one): one for one in found if one.entity.type == "child"}
    supervisors = {_place(one) for one in found if one.entity.type == "supervisor"}
    shown = [
        one for one in found if one.entity.type == "supervisor" or _place(one) not in supervisors
    ]
    shown.sort(key=lambda one: _position(children.get(_place(one)) or one))
    nodes = grow(shown, _key, lambda one: (one.process.id, "supervisor", _text(one, "parent")))
    rows: list[Sequence[str]] = []
    styles: list[str] = []
    limit = max(canvas.width, 1) if canvas.width else LONGEST
    trees = branches(roots_of(nodes), lambda node: node.children, canvas, _MAX_INDENT)
    for branch, depth, node in trees:
        one = node.item
        name = _name(one) if depth else one.entity.id
        state = _state(one)
        as_child = children.get(_place(one), one)
        rows.append(
            (
                branch + printable(name, limit),
                state,
                _restarts(as_child),
                "" if depth else printable(one.process.label, limit),
                printable(one.span.record.name, limit) if one.span is not None else "",
                printable(_text(one, "error") or _text(as_child, "error"), limit),
            )
        )
        styles.append(_STYLES.get(state, ""))
    yield from table_lines(_COLUMNS, rows, canvas, styles)


def _key(one: ObservedEntity) -> tuple[str, str, str]:
    return one.process.id, one.entity.type, one.entity.id


def _place(one: ObservedEntity) -> tuple[str, str, str]:
    """Return what a supervisor has in common with the child that it is."""
    return one.process.id, one.entity.id, _text(one, "parent")


def _text(one: ObservedEntity, key: str) -> str:
    # The data may come from any program.
    value = one.record.attributes.get(key)
    return value if isinstance(value, str) else ""


def _name(one: ObservedEntity) -> str:
    """Return the id without that of the parent."""
    return one.entity.id.removeprefix(_text(one, "parent") + "/")


def _state(one: ObservedEntity) -> str:
    """Return the state of the process unless that runs, else that which is recorded."""
    if one.state in {"lost", "hung", "blocked"}:
        return one.state
    return printable(_text(one, "state"), LONGEST) or "?"


def _position(one: ObservedEntity) -> int:
    """Return the place of a child in the order of starts; 0 for what has none."""
    value = one.record.attributes.get("position")
    return value if type(value) is int else 0


def _restarts(one: ObservedEntity) -> str:
    value = one.record.attributes.get("restarts")
    return f"{value:,}" if type(value) is int and abs(value) < 10**12 else ""
