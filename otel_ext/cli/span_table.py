"""Formats open spans as a table that fits the terminal and is safe to print, or as JSON."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.exporters.console.attributes import PLAIN_WIDTH, format_attributes
from otel_ext.observe.location import opened_at
from otel_ext.readable import ago, duration
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal.canvas import STATE_STYLES
from otel_ext.terminal.table import GAP, Cell, Column, column_widths, row_line
from otel_ext.terminal.text import LONGEST, cells, cut, cut_left, printable
from otel_ext.terminal.tree import branches, grow, roots_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.terminal.canvas import Canvas

__all__ = ["as_tree", "json_line", "span_lines"]

_COLUMNS: Final = (
    Column("AGE", is_number=True),
    Column("STATE"),
    Column("NAME", share=0.38),
    Column("PROCESS", share=0.2),
    Column("WHERE", share=0.42),
)
_ATTRIBUTES: Final = Column("ATTRIBUTES")
_SECOND: Final = 1_000_000_000
_OLD_LOCATION_NS: Final = 5 * _SECOND
_LEAST: Final = 8
_MAX_INDENT: Final = 12
# A terminal with this many columns reserves a quarter for attributes, if spans have any.
_RESERVES_FOR_ATTRIBUTES: Final = 72
# On a narrower terminal a single process is shown by its pid alone, to save columns.
_NAMES_ONE_PROCESS: Final = 100


def as_tree(spans: Sequence[ObservedSpan], canvas: Canvas) -> Iterator[tuple[str, ObservedSpan]]:
    """Yield the spans in tree order, each with the branch to draw before it.

    A span whose parent is missing becomes a root; its parent may be in another process.
    """
    nodes = grow(
        spans,
        lambda span: span.record.key,
        lambda span: (span.record.trace_id, span.record.parent_span_id),
    )
    trees = branches(roots_of(nodes), lambda node: node.children, canvas, _MAX_INDENT)
    for branch, _, node in trees:
        yield branch, node.item


class _Row(NamedTuple):
    age: str
    state: str
    name: str
    process: str
    verb: str
    location: str
    ago: str
    attributes: Mapping[str, object]

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the columns, but for the attributes."""
        where = f"{self.verb} {self.location}{self.ago}" if self.location else self.verb
        return self.age, self.state, self.name, self.process, where

    def cells(self, widths: Sequence[int], attributes: str) -> list[Cell]:
        """Return the cells, cut to the widths of their columns."""
        _, _, name, process, where = widths
        location, ago_text = _fit_location(self.location, self.ago, where - len(self.verb) - 1)
        return [
            [("", self.age)],
            [(STATE_STYLES[self.state], self.state)],
            [("bold", cut(self.name, name))],
            [("", cut(self.process, process))],
            [("dim", self.verb), ("", f" {location}" if location else ""), ("dim", ago_text)],
            [("dim", attributes)],
        ]


def _row(branch: str, span: ObservedSpan, now_ns: int, limit: int) -> _Row:
    location = span.location
    # An old location is shown with its age: the span may be elsewhere by now.
    is_old = location.is_now and now_ns - location.seen_ns > _OLD_LOCATION_NS
    return _Row(
        duration(span.age_ns),
        span.state,
        branch + printable(span.record.name, limit),
        printable(span.process.label, limit),
        "at" if location.is_now else "opened" if location.frame.file else "-",
        printable(str(location.frame), limit),
        f" {ago(location.seen_ns, now_ns)}" if is_old else "",
        span.record.attributes,
    )


def span_lines(
    spans: Sequence[ObservedSpan],
    now_ns: int,
    canvas: Canvas,
    *,
    tree: bool = False,
    max_spans: int | None = None,
) -> Iterator[str]:
    """Yield the header and one line for each span, without newlines.

    Args:
        spans: The spans, sorted.
        now_ns: When they were read, nanoseconds since the epoch.
        canvas: Width, colors and branches.
        tree: Whether to print spans under their parents, which changes their order.
        max_spans: The most spans to yield; None for all.
    """
    ordered = as_tree(spans, canvas) if tree else (("", span) for span in spans)
    limit = max(canvas.width, _LEAST) if canvas.width else LONGEST
    rows = [_row(branch, span, now_ns, limit) for branch, span in islice(ordered, max_spans)]
    if 0 < canvas.width < _NAMES_ONE_PROCESS and len({row.process for row in rows}) == 1:
        rows = [row._replace(process=row.process.partition(" ")[0]) for row in rows]
    columns = list(_COLUMNS)
    if rows and all(row.process.isdigit() for row in rows):
        columns[3] = columns[3]._replace(heading="PID")
    width = canvas.width and canvas.width - _width_for_attributes(rows, canvas.width)
    widths = column_widths(columns, [row.texts for row in rows], width)
    attributes = _attribute_texts(rows, widths, canvas.width)
    if any(attributes):
        columns.append(_ATTRIBUTES)
    headings = [[("", column.heading)] for column in columns]
    all_widths = [*widths, 0]
    yield canvas.paint("bold", row_line(columns, headings, all_widths, canvas))
    for row, text in zip(rows, attributes, strict=True):
        yield row_line(columns, row.cells(widths, text), all_widths, canvas)


def _attribute_texts(rows: list[_Row], widths: Sequence[int], width: int) -> list[str]:
    """Return each row's attributes, cut to the columns that are left; empty if too few."""
    room = width - sum(widths) - len(widths) * len(GAP) if width else PLAIN_WIDTH
    if room < len(_ATTRIBUTES.heading):
        return [""] * len(rows)
    texts = [format_attributes(row.attributes, room) for row in rows]
    return ["" if text == "…" else text for text in texts]


def _width_for_attributes(rows: list[_Row], width: int) -> int:
    """Return the width that is reserved for the attributes, with the gap before them."""
    if width < _RESERVES_FOR_ATTRIBUTES:
        return 0
    longest = max((cells(format_attributes(row.attributes, width // 4)) for row in rows), default=0)
    return longest + len(GAP) if longest else 0


def _fit_location(location: str, age: str, room: int) -> tuple[str, str]:
    """Cut location and age to `room` columns: first the folders, then the age."""
    if cells(location) + len(age) <= room:
        return location, age
    short = _without_folders(location)
    if cells(short) + len(age) <= room:
        return cut_left(location, room - len(age)), age
    return cut_left(location, room), ""


def _without_folders(location: str) -> str:
    """Return a location without the folders of its file; `…` marks that some were left out.

    >>> _without_folders("app/jobs.py:7 Batch.run")
    '…jobs.py:7 Batch.run'
    """
    path, blank, function = location.partition(":")
    name = path.rpartition("/")[2]
    return location if name == path else f"…{name}{blank}{function}"


def json_line(span: ObservedSpan) -> bytes:
    """Return one span as a JSON object in UTF-8, with the keys that the docs list."""
    record, location = span.record, span.location
    fields: dict[str, object] = {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id or None,
        "name": record.name,
        "state": span.state,
        "status": record.status.code if record.status else None,
        "age_seconds": span.age_ns / _SECOND,
        "started": format_ns(span.start_ns),
        "process": span.process.as_dict(),
        "where": {
            **location.frame.as_dict(),
            "now": location.is_now,
            "seen": format_ns(location.seen_ns),
        },
        "opened": opened_at(record).as_dict(),
        "thread": record.thread.name if record.thread else None,
        "task": record.task.name if record.task else None,
        "attributes": record.attributes,
    }
    return encode_object(fields)
