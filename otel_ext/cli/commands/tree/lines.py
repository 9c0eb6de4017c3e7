"""Formats one line of `otel-ext tree`: a span, its outcome, the reason and the location.

If there is too little room, the name is cut before the state, and attributes, process and
location are left out before either.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.cli.commands.tree.forest import has_failed
from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.readable import duration
from otel_ext.terminal.canvas import PLENTY, STATE_STYLES, Canvas
from otel_ext.terminal.table import GAP
from otel_ext.terminal.text import cells, cut, cut_left, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.cli.commands.tree.forest import Node
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.observe.snapshot import ObservedSpan
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record

__all__ = ["TreeOptions", "line_of", "state_of"]

_LEAST_ERROR: Final = 16


class TreeOptions(NamedTuple):
    """How to draw lines, and what is known of all spans.

    Attributes:
        canvas: Width, colors and marks.
        running: The open spans, by key.
        processes: The name of each process, by its id.
        matches: The ids of the selected spans; None if all are selected.
    """

    canvas: Canvas
    running: Mapping[SpanKey, ObservedSpan]
    processes: Mapping[str, ProcessName]
    matches: frozenset[str] | None = None


class _State(NamedTuple):
    mark: str
    style: str
    words: str
    error: str = ""


def line_of(node: Node, options: TreeOptions) -> str:
    """Return the line of a node, without a newline."""
    record = node.record
    state = _state(record, options) if not node.siblings else _folded_state(node.siblings)
    times = f" x{len(node.siblings):,}" if node.siblings else ""
    canvas = options.canvas
    width = canvas.width or PLENTY
    # The branches of a deep tree are cut at the left, where they show least.
    branch = cut_left(node.branch, width // 2 + 1)
    room = width - len(branch) - 2 - len(times) - cells(state.words) - 1
    name = cut(printable(record.name), max(room, 1))
    room -= cells(name)
    name += times
    is_selected = options.matches is None or record.span_id in options.matches
    texts = [(canvas.mark(state.mark), state.style), (name, "bold"), (state.words, state.style)]
    details = _details(node, state, room, options)
    head, tail = (
        # Spans that are only above a selected one are dim.
        [canvas.paint(style if is_selected else "dim", text) for text, style in some]
        for some in (texts, details)
    )
    return branch + GAP.join([" ".join(head), *tail])


def _details(node: Node, state: _State, room: int, options: TreeOptions) -> list[tuple[str, str]]:
    """Return the texts after the state that fit into `room`, each with its style."""
    details: list[tuple[str, str]] = []
    if state.error and room >= _LEAST_ERROR:
        error = cut(state.error, room - len(GAP))
        details.append((error, "red"))
        room -= cells(error) + len(GAP)
    process = _process_of(node, options)
    location = _location_text(node, options)
    tail = [text for text in (process, location) if text]
    while tail and sum(cells(text) + len(GAP) for text in tail) > room:
        tail.pop()
    room -= sum(cells(text) + len(GAP) for text in tail)
    if not node.siblings and room > len(GAP):
        limit = room - len(GAP) if options.canvas.width else PLAIN_WIDTH
        attributes = format_attributes(node.record.attributes, limit)
        if attributes:
            details.append((attributes, "dim"))
    return [*details, *((text, "dim") for text in tail)]


def _process_of(node: Node, options: TreeOptions) -> str:
    """Return the process of a span, if the span above has another one."""
    own = node.record.process.id
    if node.parent is not None and node.parent.process.id == own:
        return ""
    facts = options.processes.get(own)
    return printable(f"[{facts.label}]") if facts is not None else ""


def _location_text(node: Node, options: TreeOptions) -> str:
    """Return where an open span is, if that is known, else where it was opened."""
    record = node.record
    running = options.running.get(record.key) if record.phase != "end" else None
    if running is not None and running.location.is_now:
        return printable(f"at {running.location.frame}")
    return (
        f"{printable(record.call_site.file)}:{record.call_site.line}"
        if record.call_site.line
        else ""
    )


def state_of(record: Record, running: Mapping[SpanKey, ObservedSpan]) -> str:
    """Return the state of a span in one word, such as `ended`, `running` or `lost`."""
    if record.phase != "end":
        one = running.get(record.key)
        return "open" if one is None else one.state
    return record.abandoned or ("cancelled" if record.is_cancelled else "ended")


def _state(record: Record, options: TreeOptions) -> _State:
    if record.phase != "end":
        state = state_of(record, options.running)
        one = options.running.get(record.key)
        age = "" if one is None else f" {duration(one.age_ns)}"
        return _State("start", STATE_STYLES.get(state, "yellow"), state + age)
    took = duration(record.time_ns - record.start_ns)
    if record.abandoned:
        reason = f"abandoned: {printable(record.abandoned)}{_outcome_of(record)}"
        return _State("error", "red", f"{took} {reason}")
    if has_failed(record):
        error = " ".join(record.error.split())
        return _State("error", "red", took if error else f"{took} error", printable(error))
    if record.is_cancelled:
        return _State("cancelled", "yellow", f"{took} cancelled")
    return _State("end", "green", took)


def _outcome_of(record: Record) -> str:
    """Return how the process of an abandoned span ended; empty if unknown."""
    if signal := record.extra.get("signal"):
        return f", ended by {printable(str(signal))}"
    status = record.extra.get("exit_status")
    return f", exit status {status}" if type(status) is int else ""


def _folded_state(siblings: tuple[Record, ...]) -> _State:
    """Return the state of folded siblings: all ended well, so only their times differ."""
    times = sorted(one.time_ns - one.start_ns for one in siblings)
    words = f"{duration(int(median(times)))} each, {duration(times[-1])} at most"
    return _State("end", "green", words)
