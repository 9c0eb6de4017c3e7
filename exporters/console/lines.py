"""Renders records as lines for people, live and indented as the spans nest.

::

    12:03:04.120   ▶ index library root=/usr/lib             index_library.py:42
    12:03:04.121     ▶ parse path=ast.py                     index_library.py:88
    12:03:04.133     ✓ parse 12.3 ms tokens=4102
    12:03:05.320   ✗ index library 1.20 s ValueError: no such folder

Marks and words carry the meaning, color only helps. Each further thread or task has a
number before its lines, and its name on the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.readable import duration, local_time
from otel_ext.record.model import EMPTY
from otel_ext.record.own_code import first_own_index
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.text import cells, cut, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.record.model import Record
    from otel_ext.terminal.canvas import Canvas

__all__ = ["LineRenderer"]

_MAX_OPEN: Final = 10_000
_MAX_OWNERS: Final = 1_000
_MAX_INDENT: Final = 16
_GAP: Final = 2
_LEVELS: Final = {
    "debug": "dim",
    "warning": "yellow",
    "warn": "yellow",
    "error": "red",
    "critical": "red",
    "exception": "red",
}
_OWNER_COLORS: Final = ("blue", "magenta", "cyan", "yellow", "green")


class _Open(NamedTuple):
    """An open span: its depth and owner, which its end line will use."""

    depth: int
    owner: _Owner
    attributes: Mapping[str, object]


@dataclass
class _Owner:
    """One thread or task: its number, which is reused, and how many of its spans are open."""

    number: int
    open: int = 0


class LineRenderer:
    """Turns each record into one line; remembers a bounded number of open spans.

    Args:
        canvas: Colors and marks.
        width: Returns the number of columns, which may change.

    >>> from otel_ext.record.model import Process, Record
    >>> from otel_ext.terminal.canvas import Canvas
    >>> renderer = LineRenderer(Canvas(), lambda: 60)
    >>> record = Record("event", None, "deployed", 0, 1, Process("p"), attributes={"to": "eu"})
    >>> renderer.render(record)[16:]
    '◆ deployed to=eu'
    """

    def __init__(self, canvas: Canvas, width: Callable[[], int]) -> None:
        self._canvas = canvas
        self._width = width
        self._open: dict[str, _Open] = {}
        self._owners: dict[object, _Owner] = {}

    def render(self, record: Record) -> str:
        """Return the line for `record`, without a newline; empty if it has none."""
        if record.kind == "process":
            return ""
        if record.kind != "span":
            return self._render_log(record)
        if record.phase == "start":
            return self._render_start(record)
        return self._render_update(record) if record.phase == "update" else self._render_end(record)

    def _render_start(self, record: Record) -> str:
        parent = self._open.get(record.parent_span_id)
        owner, name = self._owner_of(record)
        known = _Open(0 if parent is None else parent.depth + 1, owner, record.attributes)
        owner.open += 1
        if len(self._open) >= _MAX_OPEN:
            self._forget(next(iter(self._open)))
        self._open[record.span_id] = known
        call_site = (
            f"{record.call_site.file}:{record.call_site.line}" if record.call_site.line else ""
        )
        tail = f"[{name}] {call_site}" if name else call_site
        return self._line(
            record,
            known,
            (STATE_STYLES["running"], "start"),
            [("bold", printable(record.name))],
            record.attributes,
            tail,
        )

    def _render_end(self, record: Record) -> str:
        known = self._forget(record.span_id) or self._unknown_span(record)
        failed = (record.status is not None and record.status.code == "error") or record.abandoned
        cancelled = not failed and record.is_cancelled
        kind, color = ("error", "red") if failed else ("end", "green")
        if cancelled:
            kind, color = "cancelled", "yellow"
        took = duration(record.time_ns - record.start_ns)
        words = [("", printable(record.name)), ("yellow" if failed else color, took)]
        if record.abandoned:
            words.append(("red", f"abandoned: {printable(record.abandoned)}"))
        elif failed:
            words.append(("red", printable(record.error) or "error"))
        elif cancelled:
            words.append(("yellow", "cancelled"))
        # What the start line showed is not repeated.
        before = known.attributes
        changed = {
            key: value
            for key, value in record.attributes.items()
            if key not in before or before[key] != value
        }
        return self._line(record, known, (color, kind), words, changed, "")

    def _render_update(self, record: Record) -> str:
        known = self._open.get(record.span_id) or self._unknown_span(record)
        words = [("", printable(record.name))]
        if record.extra.get("stalled"):
            words.append((STATE_STYLES["stalled"], "stalled"))
        return self._line(record, known, ("", "update"), words, EMPTY, _top_frame(record))

    def _render_log(self, record: Record) -> str:
        around = self._open.get(record.span_id)
        known = (
            self._unknown_span(record)
            if around is None
            else _Open(around.depth + 1, around.owner, EMPTY)
        )
        style = _LEVELS.get(record.level, "")
        mark = "event" if record.kind == "event" else "log"
        level = f"{printable(record.level)} " if record.level else ""
        words = f"{level}{printable(record.name)}"
        return self._line(record, known, (style, mark), [(style, words)], record.attributes, "")

    def _line(
        self,
        record: Record,
        known: _Open,
        mark: tuple[str, str],
        words: list[tuple[str, str]],
        attributes: Mapping[str, object],
        tail: str,
    ) -> str:
        """Assemble a line: time, number, indent, mark, words, attributes, location."""
        width = self._width() - 1  # a line that fills the last column may wrap
        time_text = local_time(record.time_ns)
        number = known.owner.number
        column = f"{number:>2}" if number else "  "
        indent = "  " * min(known.depth, _MAX_INDENT, max(width - 40, 0) // 4)
        plain_words = " ".join(text for _, text in words)
        used = len(time_text) + 1 + len(column) + 1 + len(indent) + 2 + cells(plain_words)
        if used > width:
            words = [("", cut(plain_words, max(width - used + cells(plain_words), 8)))]
            used = width
        # The location keeps its space at the right, unless the line is too narrow.
        tail = printable(tail)
        reserved = cells(tail) + _GAP
        if used + reserved > width:
            tail, reserved = "", 0
        shown = format_attributes(attributes, width - used - reserved - 1) if attributes else ""
        used += cells(shown) + 1 if shown else 0
        gap = width - used - cells(tail)
        color = _OWNER_COLORS[number % len(_OWNER_COLORS)]
        paint = self._canvas.paint
        style, name = mark
        text = f"{paint('dim', time_text)} {paint(color, column)} {indent}"
        text += " ".join([paint(style, self._canvas.mark(name)), *starmap(paint, words)])
        if shown:
            text += f" {paint('dim', shown)}"
        return f"{text}{' ' * gap}{paint('dim', tail)}" if tail else text

    def _owner_of(self, record: Record) -> tuple[_Owner, str]:
        """Return the record's thread or task, and its name if it is new."""
        identity, name = _identity_of(record)
        owner = self._owners.get(identity)
        if owner is not None:
            return owner, ""
        idle = [key for key, known in self._owners.copy().items() if known.open <= 0]
        taken = {known.number for known in list(self._owners.values()) if known.open > 0}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        for key in idle:
            # The next new thread or task gets the number of an idle one.
            known = self._owners.get(key)
            if known is not None and (known.number == number or len(self._owners) > _MAX_OWNERS):
                self._owners.pop(key, None)
        is_first = not self._owners and not self._open
        owner = self._owners[identity] = _Owner(number)
        return owner, "" if is_first and name == "MainThread" else name

    def _unknown_span(self, record: Record) -> _Open:
        """Return a stand-in for a span whose start was not rendered."""
        owner = self._owners.get(_identity_of(record)[0])
        return _Open(0, owner or _Owner(0), EMPTY)

    def _forget(self, span_id: str) -> _Open | None:
        known = self._open.pop(span_id, None)
        if known is not None:
            known.owner.open -= 1
        return known


def _identity_of(record: Record) -> tuple[object, str]:
    if record.task is not None:
        return ("task", record.task.id), record.task.name
    if record.thread is not None:
        return record.thread.id, record.thread.name
    return None, ""


def _top_frame(record: Record) -> str:
    """Return where the span is now: the innermost frame of the user's own code."""
    stack = record.extra.get("stack")
    if not isinstance(stack, (list, tuple)):
        return ""
    items = cast("list[object] | tuple[object, ...]", stack)
    frames = [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]
    if not frames:
        return ""
    own = frames[first_own_index([str(frame.get("file") or "?") for frame in frames])]
    return f"{own.get('file', '?')}:{own.get('line', '?')} {own.get('function', '')}"
