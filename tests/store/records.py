"""Lines of records for the tests of stores, and Hypothesis strategies that make them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from otel_ext.analysis.traces.forest import Forest
from otel_ext.record.entities import Entity
from otel_ext.record.timestamps import format_ns
from otel_ext.store.entries import EntryReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.store.entries import Entry

SECOND: Final = 1_000_000_000
NOON: Final = 1_795_780_800 * SECOND
"""A day of November 2026, at noon."""


def span_line(  # noqa: PLR0913 - the fields of a record
    phase: str,
    span: int,
    *,
    trace: int = 1,
    parent: int = 0,
    process: str = "p",
    seq: int = 1,
    at: int = NOON,
    name: str = "job",
    duration: int = SECOND,
    error: str = "",
    abandoned: bool = False,
    attributes: Mapping[str, object] = MappingProxyType({}),
    links: Sequence[tuple[int, int]] = (),
    **others: object,
) -> bytes:
    """Return the line of a record of a span; `at` is its start, nanoseconds since the epoch.

    Links are given as the trace and the span that each of them leads to.
    """
    time = at + duration if phase == "end" else at
    meta: dict[str, object] = {
        "timestamp": format_ns(time),
        "event": f"{name}.{phase}",
        "file": "app.py",
        "line": 3,
        "function": "main",
        "trace_id": f"{trace:032x}",
        "span_id": f"{span:016x}",
        "version": 2,
        "kind": "span",
        "phase": phase,
        "seq": seq,
        "process": process,
        "span_kind": "internal",
        "thread": {"id": 7, "name": "MainThread"},
    }
    if parent:
        meta["parent_span_id"] = f"{parent:016x}"
    if links:
        targets = [{"trace_id": f"{to:032x}", "span_id": f"{one:016x}"} for to, one in links]
        meta["links"] = targets
    if phase == "end":
        status = {"code": "error", "description": error} if error else {"code": "unset"}
        meta |= {"start": format_ns(at), "duration_ns": duration, "status": status}
        if abandoned:
            meta["abandoned"] = "process-died"
    else:
        meta["provisional"] = True
    return line_of(meta, {**attributes, **others})


def log_line(
    text: str,
    *,
    trace: int = 0,
    span: int = 0,
    process: str = "p",
    seq: int = 1,
    at: int = NOON,
    level: str = "info",
    **attributes: object,
) -> bytes:
    """Return the line of a log."""
    meta: dict[str, object] = {
        "timestamp": format_ns(at),
        "event": text,
        "file": "app.py",
        "line": 3,
        "function": "main",
        "version": 2,
        "kind": "log",
        "seq": seq,
        "process": process,
        "level": level,
    }
    if trace:
        meta["trace_id"] = f"{trace:032x}"
    if span:
        meta["span_id"] = f"{span:016x}"
    return line_of(meta, attributes)


def event_line(
    name: str,
    *,
    trace: int = 0,
    process: str = "p",
    seq: int = 1,
    at: int = NOON,
    entity: tuple[str, str] | None = None,
    deleted: bool = False,
    **attributes: object,
) -> bytes:
    """Return the line of an event; `entity` is the type and the id of what it is about."""
    meta: dict[str, object] = {
        "timestamp": format_ns(at),
        "event": name,
        "file": "app.py",
        "line": 3,
        "function": "main",
        "version": 2,
        "kind": "event",
        "seq": seq,
        "process": process,
    }
    if trace:
        meta |= {"trace_id": f"{trace:032x}", "span_id": f"{1:016x}"}
    if entity is not None:
        meta["entity"] = Entity(*entity, deleted).as_metadata()
    return line_of(meta, attributes)


def process_line(
    event: str = "process.start",
    *,
    process: str = "p",
    service: str = "shop",
    seq: int = 1,
    at: int = NOON,
    **facts: object,
) -> bytes:
    """Return the line of a record of a process."""
    meta: dict[str, object] = {
        "timestamp": format_ns(at),
        "event": event,
        "file": "app.py",
        "line": 0,
        "function": "<module>",
        "version": 2,
        "kind": "process",
        "seq": seq,
        "process": process,
        **facts,
    }
    if event == "process.start":
        meta |= {"pid": 7, "resource": {"service.name": service}}
    return line_of(meta, {})


def line_of(meta: Mapping[str, object], attributes: Mapping[str, object]) -> bytes:
    """Return a line of metadata and attributes."""
    return json.dumps({"__tracer_meta__": meta, **attributes}, separators=(",", ":")).encode()


def entries_of(lines: Iterable[bytes]) -> list[Entry]:
    """Return the entries in some lines, each of which has one."""
    reader = EntryReader()
    for line in lines:
        reader.add(line)
    assert not reader.refused
    return reader.take()


def trees_in(lines: Iterable[bytes]) -> dict[str, list[TraceTree]]:
    """Return the trees that the readers of files make of some lines, by trace."""
    forest = Forest()
    for line in lines:
        forest.add(json.loads(line)["__tracer_meta__"])
    found: dict[str, list[TraceTree]] = {}
    for tree in forest.trees():
        found.setdefault(tree.trace_id, []).append(tree)
    return found


@st.composite
def span_lines(draw: st.DrawFn) -> list[bytes]:
    """Make the records of some spans, in any order, with repeats and what forks do."""
    made: list[bytes] = []
    number = st.integers(0, 3)
    for seq in range(draw(st.integers(1, 14))):
        phase = draw(st.sampled_from(["start", "update", "end", "end"]))
        values: dict[str, Any] = {
            "trace": draw(st.integers(1, 3)),
            "parent": draw(number),
            "process": draw(st.sampled_from(["p", "p", "p", "q"])),
            "seq": seq,
            "at": NOON + draw(number) * SECOND,
            "duration": draw(number) * SECOND // 2,
            "name": draw(st.sampled_from(["job", "GET /pay", "SELECT 1"])),
            "error": draw(st.sampled_from(["", "", "no cover"])),
            "abandoned": draw(st.booleans()),
            "user": draw(st.sampled_from(["ann", "bob", 7, True, 1.5, ["ann"]])),
        }
        made.append(span_line(phase, draw(st.integers(1, 4)), **values))
    repeats = draw(st.lists(st.sampled_from(made), max_size=4))
    return draw(st.permutations([*made, *repeats]))
