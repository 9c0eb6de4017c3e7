"""Formats one line of a tree: a span, its outcome, the reason and the location.

If there is too little room, the name is cut before the state, and attributes, process and
location are left out before either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.terminal.canvas import PLENTY
from otel_ext.terminal.table import GAP
from otel_ext.terminal.text import cells, cut, cut_left, printable
from otel_ext.views.trace_view import Standing, p95_of, repeats, standing_of

if TYPE_CHECKING:
    from otel_ext.views.rows import Row
    from otel_ext.views.trace_view import TraceView

__all__ = ["line_of"]

_LEAST_ERROR: Final = 16


def line_of(row: Row, view: TraceView) -> str:
    """Return the line of a row, without a newline."""
    span = view.tree.spans[row.number]
    ended_well = Standing("end", "green", p95_of(row, view)) if row.siblings else None
    state = ended_well or standing_of(row.number, view)
    canvas = view.canvas
    times = repeats(row, canvas)
    width = canvas.width or PLENTY
    # The branches of a deep tree are cut at the left, where they show least.
    branch = cut_left(row.branch, width // 2 + 1)
    room = width - len(branch) - 2 - len(times) - 1
    # The state is cut last, on a terminal with less room than for it and a letter.
    state = state._replace(words=cut(state.words, max(room - 1, 0)))
    room -= cells(state.words)
    name = cut(printable(span.name), max(room, 1))
    room -= cells(name)
    name += times
    is_selected = view.is_selected(row.number)
    texts = [(canvas.mark(state.mark), state.style), (name, "bold"), (state.words, state.style)]
    details = _details(row, state, room, view)
    head, tail = (
        # Spans that are only above a selected one are dim.
        [canvas.paint(style if is_selected else "dim", text) for text, style in some]
        for some in (texts, details)
    )
    return branch + GAP.join([" ".join(head), *tail])


def _details(row: Row, state: Standing, room: int, view: TraceView) -> list[tuple[str, str]]:
    """Return the texts after the state that fit into `room`, each with its style."""
    details: list[tuple[str, str]] = []
    if state.error and room >= _LEAST_ERROR:
        error = cut(state.error, room - len(GAP))
        details.append((error, "red"))
        room -= cells(error) + len(GAP)
    tail = [text for text in (_process_of(row, view), _location_text(row, view)) if text]
    while tail and sum(cells(text) + len(GAP) for text in tail) > room:
        tail.pop()
    room -= sum(cells(text) + len(GAP) for text in tail)
    record = view.records.get(view.tree.spans[row.number].key)
    if record is not None and not row.siblings and room > len(GAP):
        limit = room - len(GAP) if view.canvas.width else PLAIN_WIDTH
        attributes = format_attributes(record.attributes, limit)
        if attributes.strip("…"):  # at least one of them fits
            details.append((attributes, "dim"))
    return [*details, *((text, "dim") for text in tail)]


def _process_of(row: Row, view: TraceView) -> str:
    """Return the process of a span, if the span above has another one."""
    spans, parent = view.tree.spans, view.tree.parents[row.number]
    own = spans[row.number].process
    if parent >= 0 and spans[parent].process == own:
        return ""
    facts = view.processes.get(own)
    return printable(f"[{facts.label}]") if facts is not None and facts.label else ""


def _location_text(row: Row, view: TraceView) -> str:
    """Return where an open span is, if that is known, else where it was opened."""
    span = view.tree.spans[row.number]
    running = view.running.get(span.key) if span.is_open else None
    if running is not None and running.location.is_now:
        return printable(f"at {running.location.frame}")
    file, line, _ = span.site
    return f"{printable(file)}:{line}" if line else ""
