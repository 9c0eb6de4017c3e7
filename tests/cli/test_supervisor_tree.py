"""The drawing of supervisors: trees, states, and data of any program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_ext.cli.supervisor_tree import supervisor_lines
from otel_ext.observe.entities import ObservedEntity
from otel_ext.observe.processes import RunningProcess
from otel_ext.record.entities import Entity
from otel_ext.record.model import Process, Record
from otel_ext.terminal.canvas import Canvas

if TYPE_CHECKING:
    from otel_ext.observe.entities import EntityState


def observed(
    kind: str, name: str, *, process: str = "p", state: EntityState = "idle", **attributes: object
) -> ObservedEntity:
    """Return an entity as readers see it."""
    entity = Entity(kind, name)
    extra = {"entity": entity.as_metadata()}
    record = Record("event", None, "e", 0, 1, Process(process), attributes=attributes, extra=extra)
    owner = RunningProcess(process, 7, "shop.py", "", Path(), "alive", 0, 0, (), None)
    return ObservedEntity(entity, record, owner, None, state, 0)


def test_nothing_is_drawn_without_supervisors() -> None:
    """Other entities do not count."""
    assert list(supervisor_lines([observed("agent", "a", state="running")], Canvas())) == []


def test_trees_of_two_processes() -> None:
    """A supervisor that is a child has one line; equal names of two processes stay apart."""
    found = [
        *_shop("p"),
        observed("child", "shop/pool", parent="shop", restarts=1234, error="ValueError: no"),
        *_shop("q")[:1],
        observed("supervisor", "shop/pool", parent="shop"),
        observed("child", "shop/pool/w", parent="shop/pool", restarts=0),
    ]
    lines = list(supervisor_lines(found, Canvas()))
    assert [line.split() for line in lines] == [
        ["SUPERVISOR", "STATE", "RESTARTS", "PROCESS", "SPAN", "ERROR"],
        ["shop", "?", "7", "shop.py"],
        ["├─", "a", "?", "0"],
        ["└─", "pool", "?", "1,234", "ValueError:", "no"],
        ["└─", "w", "?", "0"],
        ["shop", "?", "7", "shop.py"],
    ]


def _shop(process: str) -> list[ObservedEntity]:
    return [
        observed("supervisor", "shop", process=process, parent=""),
        observed("child", "shop/a", process=process, parent="shop", restarts=0),
    ]


def test_data_of_any_program_is_safe_to_draw() -> None:
    """Wrong types, huge numbers, escapes, circles and missing parents."""
    found = [
        observed("supervisor", "\x1b[2Ja", parent=3, restarts="x", error=["no"]),
        observed("child", "b", parent="c", restarts=10**5000, error="\x1b]0;x\x07"),
        observed("child", "c", parent="b", restarts=True),
        observed("child", "gone/d", parent="gone", state="lost", restarts=2),
    ]
    for canvas in (Canvas(), Canvas(width=20), Canvas(width=3, ascii_only=True)):
        lines = list(supervisor_lines(found, canvas))
        assert len(lines) == 5
        assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert "gone/d" in list(supervisor_lines(found, Canvas()))[-1]


def test_a_state_that_needs_attention_has_a_color() -> None:
    """The state of the process goes before that of the child."""
    found = [
        observed("supervisor", "s", state="lost", parent=""),
        observed("supervisor", "t", state="running", parent=""),
    ]
    lines = list(supervisor_lines(found, Canvas(color=True)))
    assert lines[1].startswith("\x1b[31m")
    assert not lines[2].startswith("\x1b[")


def test_children_are_in_the_order_of_their_starts() -> None:
    """Not in that of their newest records; what any program says as position is safe."""
    found = [
        observed("child", "s/c", parent="s", position=3),
        observed("supervisor", "s/b", parent="s"),
        observed("child", "s/x", parent="s", position="x"),
        observed("child", "s/b", parent="s", position=2),
        observed("child", "s/a", parent="s", position=1),
        observed("supervisor", "s", parent=""),
        observed("child", "s/z", parent="s", position=10**5000),
    ]
    lines = list(supervisor_lines(found, Canvas()))
    names = [line.split("?")[0].split()[-1] for line in lines[1:]]
    assert names == ["s", "x", "a", "b", "c", "z"]


def test_a_name_with_a_slash_hides_no_child() -> None:
    """A supervisor of another program may have the id of a child of another supervisor."""
    found = [
        observed("supervisor", "shop", parent=""),
        observed("child", "shop/importer", parent="shop", restarts=0),
        observed("supervisor", "shop/importer", parent=""),
        observed("child", "shop/importer/z", parent="shop/importer", restarts=0),
    ]
    lines = list(supervisor_lines(found, Canvas()))
    assert [line.split("?")[0].split() for line in lines[1:]] == [
        ["shop"],
        ["└─", "importer"],
        ["shop/importer"],
        ["└─", "z"],
    ]
