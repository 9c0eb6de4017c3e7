"""`TraceView`: one trace and what else is known of its spans, for the lines of any view."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.analysis.operations import percentile
from otel_ext.readable import count_of, duration, local_time
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.analysis.traces.times import Times
    from otel_ext.analysis.traces.tree import TraceTree
    from otel_ext.observe.process_names import ProcessName
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.record.merge import SpanKey
    from otel_ext.record.model import Record
    from otel_ext.terminal.canvas import Canvas
    from otel_ext.views.rows import Row

__all__ = [
    "Standing",
    "TraceView",
    "clocks_note",
    "heading",
    "p95_of",
    "repeats",
    "short_id",
    "shown_state",
    "standing_of",
]

_SHORT_ID = 8


class TraceView(NamedTuple):
    """What the lines of one trace are made of.

    Attributes:
        tree: The trace.
        times: When its spans started and ended, those that are open too.
        canvas: Width, colors and marks.
        records: The whole records of the spans that are shown, by key.
        running: The open spans, by key.
        processes: The name of each process, by its id.
        matches: The numbers of the selected spans; None if all are selected.
    """

    tree: TraceTree
    times: Times
    canvas: Canvas
    records: Mapping[SpanKey, Record]
    running: Mapping[SpanKey, ObservedSpan]
    processes: Mapping[str, ProcessName]
    matches: Collection[int] | None = None

    def is_selected(self, number: int) -> bool:
        """Whether a span is selected, and not only above one that is."""
        return self.matches is None or number in self.matches


class Standing(NamedTuple):
    """How a span stands.

    Attributes:
        mark: The name of its mark.
        style: Its style.
        words: Its duration, and its state unless it just ended.
        error: The text of its error; empty without one.
    """

    mark: str
    style: str
    words: str
    error: str = ""


def shown_state(span: Span, running: Mapping[SpanKey, ObservedSpan]) -> str:
    """Return the state of a span; `open` if it has no end and its process was not observed."""
    is_unseen = span.is_open and span.state != "missing" and span.key not in running
    return "open" if is_unseen else span.state


def standing_of(number: int, view: TraceView) -> Standing:
    """Return how the span of a number stands."""
    span = view.tree.spans[number]
    if span.state == "missing":
        return Standing("missing", "dim", "no record of it")
    took = duration(view.times.duration(number))
    if span.end_ns is None:
        word = shown_state(span, view.running)
        return Standing(word, STATE_STYLES.get(span.state, "yellow"), f"{word} {took}")
    if span.state == "abandoned":
        record = view.records.get(span.key)
        cause = f": {printable(str(record.abandoned))}{_outcome_of(record)}" if record else ""
        return Standing("abandoned", "red", f"{took} abandoned{cause}")
    if span.has_failed:
        error = " ".join(span.error.split())
        return Standing("error", "red", took if error else f"{took} error", printable(error))
    if span.state == "cancelled":
        return Standing("cancelled", "yellow", f"{took} cancelled")
    return Standing("end", "green", took)


def _outcome_of(record: Record) -> str:
    """Return how the process of an abandoned span ended; empty if unknown."""
    if signal := record.extra.get("signal"):
        return f", ended by {printable(str(signal))}"
    status = record.extra.get("exit_status")
    return f", exit status {status}" if type(status) is int else ""


def repeats(row: Row, canvas: Canvas, *, short: bool = False) -> str:
    """Return how many equal siblings a row stands for, after a blank; empty for one span.

    And how many spans are hidden below them.
    """
    if not row.siblings:
        return ""
    sign = "x" if canvas.ascii_only else "×"  # noqa: RUF001 - the sign is meant
    below = f" (+{row.hidden:,}{'' if short else ' below'})" if row.hidden else ""
    return f" {sign} {len(row.siblings):,}{below}"


def p95_of(row: Row, view: TraceView) -> str:
    """Return the 95th percentile of equal siblings, which all ended well."""
    times = sorted(map(view.times.duration, row.siblings))
    return f"p95 {duration(percentile(array('q', times), 95))}"


def short_id(full: str) -> str:
    """Return the beginning of a trace's or span's id, which is enough to find it."""
    return full[:_SHORT_ID]


def clocks_note(times: Times) -> str:
    """Return by how much the clocks of a trace were adjusted; empty if they were not."""
    shift_ns = max(map(abs, times.shifts))
    return f"  clocks adjusted by up to {duration(shift_ns)}" if shift_ns else ""


def heading(view: TraceView, rows: Sequence[Row]) -> str:
    """Return the line above the rows of a trace.

    It counts the spans that are shown where only some are selected.
    """
    tree, canvas = view.tree, view.canvas
    number = len(tree.spans) - len(tree.missing)
    if view.matches is not None:
        shown = (row for row in rows if tree.spans[row.number].state != "missing")
        number = sum((len(row.siblings) or 1) + row.hidden for row in shown)
    start = local_time(tree.start_ns, date=True)
    head = f"trace {short_id(tree.trace_id)}  {start}  {count_of(number, 'span')}"
    if tree.process:
        facts = view.processes.get(tree.process)
        label = (facts.label if facts is not None else "") or tree.process
        head += f"  only of {printable(label)}: other processes use the same ids"
    return canvas.paint("dim", canvas.fitted(head + clocks_note(view.times)))
