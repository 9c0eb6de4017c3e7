"""Draws tables that fit the terminal: a line of headings, then one line a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.terminal.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_ext.terminal.canvas import Canvas

__all__ = ["GAP", "Cell", "Column", "column_widths", "row_line", "table_lines"]

GAP: Final = "  "
"""What is between two columns."""

_LEAST: Final = 8
_EXACT: Final = 1e-9

Cell: TypeAlias = "Sequence[tuple[str, str]]"
"""The text of a cell in pieces: the style of each, and its text."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        heading: The text above it.
        share: Its part of the width if the columns need more than there is; 0 if it is
            only cut where no other is left to cut.
        is_number: Whether it is aligned to the right.
        optional: If the columns need more than there is, those of the highest number are
            left out first; 0 for a column that stays.
        least: The width to which it may be cut before columns are left out; 0 if they are
            left out before it is cut.
    """

    heading: str
    share: float = 0.0
    is_number: bool = False
    optional: int = 0
    least: int = 0


def table_lines(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    canvas: Canvas,
    styles: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the headings and one line for each row, without newlines.

    Args:
        columns: The columns.
        rows: The text of each cell, safe to print.
        canvas: Width and colors.
        styles: The style of each row; default: none.

    >>> from otel_ext.terminal.canvas import Canvas
    >>> columns = (Column("NAME", share=1.0), Column("COUNT", is_number=True))
    >>> for line in table_lines(columns, [("a long name", "2")], Canvas(width=16)):
    ...     print(line)
    NAME       COUNT
    a long n…      2
    """
    kept = _kept(columns, rows, canvas.width)
    columns = [columns[at] for at in kept]
    rows = [[row[at] for at in kept] for row in rows]
    widths = column_widths(columns, rows, canvas.width)
    texts = [[column.heading for column in columns], *rows]
    for number, row in enumerate(texts):
        fitted = [[("", cut(text, width))] for text, width in zip(row, widths, strict=True)]
        line = canvas.fitted(row_line(columns, fitted, widths, canvas))
        style = "bold" if not number else styles[number - 1] if styles else ""
        yield canvas.paint(style, line)


def row_line(
    columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], canvas: Canvas
) -> str:
    """Return the line of one row, each cell padded to the width of its column."""
    parts: list[str] = []
    for column, cell, width in zip(columns, row, widths, strict=False):
        space = " " * (width - sum(cells(text) for _, text in cell))
        painted = "".join(canvas.paint(style, text) for style, text in cell)
        parts.append(space + painted if column.is_number else painted + space)
    return GAP.join(parts).rstrip()


def column_widths(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> list[int]:
    """Return the width of each column; those with a share are reduced so that a line fits.

    A column that needs less than its share leaves the rest to the others.
    """
    widths = _needs(columns, rows)
    if not width or _total(widths) <= width:
        return widths
    shared = [at for at, column in enumerate(columns) if column.share]
    room = max(width - _total(widths) + sum(widths[at] for at in shared), _LEAST * len(shared))
    if sum(widths[at] for at in shared) <= room:
        return widths
    # Those that need least for their share come first, and leave their rest to the others.
    shared.sort(key=lambda at: widths[at] / columns[at].share)
    for done, at in enumerate(shared):
        left = sum(columns[other].share for other in shared[done:])
        share = int(room * columns[at].share / left + _EXACT)
        rest = sum(min(widths[other], _LEAST) for other in shared[done + 1 :])
        widths[at] = min(widths[at], max(share, _LEAST), room - rest)
        room -= widths[at]
    return widths


def _kept(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the numbers of the columns that are not left out."""
    kept = list(range(len(columns)))
    least = [
        min(need, column.least) if column.least else need
        for column, need in zip(columns, _needs(columns, rows), strict=True)
    ]
    optional = [at for at in reversed(kept) if columns[at].optional]
    # The last of those of the same number first.
    for at in sorted(optional, key=lambda at: -columns[at].optional):
        if not width or _total([least[one] for one in kept]) <= width:
            break
        kept.remove(at)
    return kept


def _needs(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([cells(column.heading), *(cells(row[at]) for row in rows)])
        for at, column in enumerate(columns)
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)
