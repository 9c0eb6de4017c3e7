"""Draws a trace as a waterfall: names at the left, and at the right a bar for each span.

A bar is thick where the span is on the critical path, and thin elsewhere. The bar of a span
that did not end well has the mark of its state at its right end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.analysis.critical_path import critical_path
from otel_ext.readable import duration
from otel_ext.terminal.text import cells, cut, cut_left, printable
from otel_ext.views.trace_view import p95_of, repeats, standing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.views.rows import Row
    from otel_ext.views.trace_view import TraceView

__all__ = ["waterfall_lines"]

_USUAL_WIDTH: Final = 100
_LEAST_BAR: Final = 12
_NAMES: Final = 0.38
_TICKS: Final = 4
# What shows nothing at the end of a bar.
_WITHOUT_MARK: Final = frozenset({"end", "missing"})


class _Marks(NamedTuple):
    thick: str
    thin: str


_MARKS: Final = (_Marks("━", "─"), _Marks("=", "-"))


class _Scale(NamedTuple):
    """From moments to columns."""

    start: int
    end: int
    columns: int

    def columns_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the first column of a period and the one after its last; at least one."""
        whole = max(self.end - self.start, 1)
        first = min((start - self.start) * self.columns // whole, self.columns - 1)
        last = -(-(end - self.start) * self.columns // whole)
        return max(first, 0), max(min(last, self.columns), max(first, 0) + 1)


def waterfall_lines(view: TraceView, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line with the time, and one for each row, without newlines.

    Args:
        view: The trace.
        rows: The rows to show, at least one.
    """
    canvas, times = view.canvas, view.times
    width = canvas.width or _USUAL_WIDTH
    texts = [_text(row, view) for row in rows]
    after = min(max(map(cells, texts)), max(width // 4, len("12.3 ms")))
    names = max(min(int(width * _NAMES), max(_needs(row, view) for row in rows)), 8)
    columns = width - names - after - 2
    if columns < _LEAST_BAR:
        names = max(names - (_LEAST_BAR - columns), 8)
        columns = max(width - names - after - 2, 1)
    scale = _Scale(min(times.starts), max(times.ends), columns)
    on_path = _critical(view)
    yield canvas.paint("dim", f"{'':{names}} {_axis(scale)}".rstrip())
    for row, text in zip(rows, texts, strict=True):
        standing = standing_of(row.number, view)
        style = standing.style if view.is_selected(row.number) else "dim"
        name = _name(row, view, names)
        bar = _bar(row, view, scale, on_path)
        label = cut(text, after)
        space = " " * (names - cells(name))
        yield f"{name}{space} {canvas.paint(style, bar)} {canvas.paint(style, label)}".rstrip()


def _needs(row: Row, view: TraceView) -> int:
    name = printable(view.tree.spans[row.number].name)
    return cells(row.branch) + 2 + cells(name) + len(repeats(row, view.canvas))


def _name(row: Row, view: TraceView, width: int) -> str:
    mark = view.canvas.mark(standing_of(row.number, view).mark)
    branch = cut_left(row.branch, max(width // 2, 1))
    name = printable(view.tree.spans[row.number].name)
    room = width - cells(branch) - 2
    times = repeats(row, view.canvas)
    if cells(name) + len(times) > room:
        times = repeats(row, view.canvas, short=True)
    # Of a row for several spans, their number stays longer than the name.
    return cut(f"{branch}{mark} {cut(name, max(room - len(times), 1))}{times}", width)


def _text(row: Row, view: TraceView) -> str:
    """Return what is behind the bar: the duration, and the state unless it just ended."""
    if row.siblings:
        return p95_of(row, view)
    return standing_of(row.number, view).words


def _axis(scale: _Scale) -> str:
    """Return the line of times: at equal distances from the start, the last one at the end.

    Of those without room between others, the end is the most important one, then the start.
    """
    whole = scale.end - scale.start
    line = [" "] * scale.columns
    for tick in (_TICKS, *range(_TICKS)):
        text = duration(whole * tick // _TICKS) if tick else "0"
        at = min(scale.columns * tick // _TICKS, scale.columns - len(text))
        if at < 0 or any(one != " " for one in line[max(at - 1, 0) : at + len(text) + 1]):
            continue
        line[at : at + len(text)] = text
    return "".join(line)


def _critical(view: TraceView) -> dict[int, list[tuple[int, int]]]:
    """Return the pieces of each span that are on the critical path of its root."""
    found: dict[int, list[tuple[int, int]]] = {}
    for root in view.tree.roots:
        for segment in critical_path(view.tree, view.times, root).segments:
            found.setdefault(segment.span, []).append((segment.start_ns, segment.end_ns))
    return found


def _bar(
    row: Row,
    view: TraceView,
    scale: _Scale,
    on_path: dict[int, list[tuple[int, int]]],
) -> str:
    marks, times = _MARKS[view.canvas.ascii_only], view.times
    line = [" "] * scale.columns
    numbers = row.siblings or (row.number,)
    for number in numbers:
        first, last = scale.columns_of(times.starts[number], times.ends[number])
        for column in range(first, last):
            line[column] = marks.thin if line[column] == " " else line[column]
        for start, end in on_path.get(number, ()):
            first, last = scale.columns_of(start, end)
            line[first:last] = marks.thick * (last - first)
    if not row.siblings:
        mark = standing_of(row.number, view).mark
        _, last = scale.columns_of(times.starts[row.number], times.ends[row.number])
        if mark not in _WITHOUT_MARK:
            line[last - 1] = view.canvas.mark(mark)
    return "".join(line)
