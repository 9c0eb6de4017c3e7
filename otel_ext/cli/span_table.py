"""Formats open spans as a table that fits the terminal and is safe to print, or as JSON."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.cli.span_tree import as_tree
from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.observe.location import opened_at
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns
from otel_ext.terminal import Painter, cells, cut, duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_ext.observe.snapshot import OpenSpan

__all__ = ["COLORS", "TableOptions", "cut_left", "json_line", "table_lines"]

COLORS: Final = {
    "running": "green",
    "stalled": "yellow",
    "blocked": "yellow",
    "hung": "red",
    "lost": "red",
}

_GAP: Final = "  "
_HEADERS: Final = ("AGE", "STATE", "NAME", "PROCESS", "WHERE")
_PID: Final = "PID"
_ATTRIBUTES: Final = "ATTRIBUTES"
# Columns for attributes in output without a width, such as a file or a pipe.
_ATTRIBUTES_WIDTH: Final = 200
_SECOND: Final = 1_000_000_000
_OLD_LOCATION_NS: Final = 5 * _SECOND
_LEAST: Final = 8
# A terminal with this many columns reserves a quarter for attributes, if spans have any.
_RESERVES_FOR_ATTRIBUTES: Final = 72
# On a narrower terminal a single process is shown by its pid alone, to save columns.
_NAMES_ONE_PROCESS: Final = 100
_UNLIMITED: Final = 1_000_000
_LONGEST: Final = 4_096


class TableOptions(NamedTuple):
    """How to draw a table of spans.

    Attributes:
        width: Columns of the terminal; 0 for no limit.
        painter: Colors text.
        tree: Whether to print spans under their parents.
        ascii_only: Whether to draw in ASCII.
    """

    width: int
    painter: Painter
    tree: bool = False
    ascii_only: bool = False


def cut_left(text: str, width: int) -> str:
    """Return the end of `text` in `width` columns, with an ellipsis if something is missing.

    >>> cut_left("/usr/lib/decoder.py:7 decode", 20)
    '…decoder.py:7 decode'
    """
    left = cells(text)
    if left <= width:
        return text
    start = 0
    while start < len(text) and left > width - 1:
        left -= cells(text[start])
        start += 1
    return f"…{text[start:]}" if width > 0 else ""


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
    def where(self) -> str:
        return f"{self.verb} {self.location}{self.ago}" if self.location else self.verb


def _row(branch: str, span: OpenSpan, now_ns: int, limit: int) -> _Row:
    location = span.location
    since_ns = now_ns - location.seen_ns
    # An old location is shown with its age: the span may be elsewhere by now.
    is_old = location.is_now and since_ns > _OLD_LOCATION_NS
    return _Row(
        duration(span.age_ns),
        span.state,
        branch + printable(span.record.name, limit),
        printable(span.process.label, limit),
        "at" if location.is_now else "opened" if location.frame.file else "-",
        printable(str(location.frame), limit),
        f" {duration(since_ns)} ago" if is_old else "",
        span.record.attributes,
    )


def table_lines(
    spans: Sequence[OpenSpan], now_ns: int, options: TableOptions, max_spans: int | None = None
) -> Iterator[str]:
    """Yield the header and one line for each span, without newlines.

    Args:
        spans: The spans, sorted; with `options.tree` they are ordered by their trees.
        now_ns: When they were collected, nanoseconds since the epoch.
        options: Width, colors and style of the table.
        max_spans: The most spans to yield; None for all.
    """
    ordered = (
        as_tree(spans, ascii_only=options.ascii_only) if options.tree else (("", s) for s in spans)
    )
    limit = _LONGEST if options.width == 0 else max(options.width, _LEAST)
    rows = [_row(branch, span, now_ns, limit) for branch, span in islice(ordered, max_spans)]
    if 0 < options.width < _NAMES_ONE_PROCESS and len({row.process for row in rows}) == 1:
        rows = [row._replace(process=row.process.partition(" ")[0]) for row in rows]
    widths = _widths(rows, options.width or _UNLIMITED)
    ellipsis_safe = _to_ascii if options.ascii_only else _unchanged
    texts = _attribute_texts(rows, widths, options)
    headers = [*_HEADERS[:3], _process_header(rows), _HEADERS[4]]
    headers += [_ATTRIBUTES] if any(texts) else []
    yield ellipsis_safe(options.painter("bold", _header(headers, widths)))
    for row, text in zip(rows, texts, strict=True):
        yield ellipsis_safe(_line(row, text, widths, options.painter))


def _attribute_texts(
    rows: list[_Row], widths: tuple[int, int, int, int, int], options: TableOptions
) -> list[str]:
    """Return each row's attributes, cut to the columns that are left; empty if too few."""
    room = _ATTRIBUTES_WIDTH
    if options.width:
        room = options.width - sum(widths) - len(widths) * len(_GAP)
    if room < len(_ATTRIBUTES):
        return [""] * len(rows)
    texts = [format_attributes(row.attributes, room) for row in rows]
    return ["" if text == "…" else text for text in texts]


def _widths(rows: list[_Row], width: int) -> tuple[int, int, int, int, int]:
    """Return the widths of the columns, reduced if they need more than `width`."""
    age = max([len(_HEADERS[0]), *(len(row.age) for row in rows)])
    state = max([len(_HEADERS[1]), *(len(row.state) for row in rows)])
    needs = [
        max([len(header), *(cells(text) for text in texts)])
        for header, texts in (
            (_HEADERS[2], [row.name for row in rows]),
            (_process_header(rows), [row.process for row in rows]),
            (_HEADERS[4], [row.where for row in rows]),
        )
    ]
    room = max(width - age - state - 4 * len(_GAP) - _width_for_attributes(rows, width), 3 * _LEAST)
    name, process, where = _share_width(needs, room)
    return age, state, name, process, where


def _process_header(rows: list[_Row]) -> str:
    return _PID if rows and all(row.process.isdigit() for row in rows) else _HEADERS[3]


def _width_for_attributes(rows: list[_Row], width: int) -> int:
    """Return the width that is reserved for the attributes, with the gap before them."""
    if not _RESERVES_FOR_ATTRIBUTES <= width < _UNLIMITED:
        return 0
    longest = max((cells(format_attributes(row.attributes, width // 4)) for row in rows), default=0)
    return longest + len(_GAP) if longest else 0


def _share_width(needs: list[int], room: int) -> list[int]:
    """Return widths that fit into `room`; a column that needs less leaves the rest to others."""
    if sum(needs) <= room:
        return needs
    weights = [0.38, 0.2, 0.42]
    assigned = [0] * len(needs)
    open_columns = sorted(range(len(needs)), key=lambda index: needs[index] / weights[index])
    for done, index in enumerate(open_columns):
        left = sum(weights[other] for other in open_columns[done:])
        share = int((room - sum(assigned)) * weights[index] / left + 1e-9)
        assigned[index] = min(needs[index], max(share, _LEAST))
    return assigned


def _header(headers: list[str], widths: tuple[int, ...]) -> str:
    age, *texts = headers
    parts = [text.ljust(width) for text, width in zip(texts, (*widths[1:], 0), strict=False)]
    return _GAP.join([age.rjust(widths[0]), *parts]).rstrip()


def _line(
    row: _Row, attributes: str, widths: tuple[int, int, int, int, int], paint: Painter
) -> str:
    age, state, name, process, where = widths
    location, ago = _fit_location(row.location, row.ago, where - len(row.verb) - 1)
    line = _GAP.join(
        [
            row.age.rjust(age),
            paint(COLORS[row.state], row.state) + " " * (state - len(row.state)),
            paint("bold", _padded(row.name, name)),
            _padded(row.process, process),
            f"{paint('dim', row.verb)} {location}{paint('dim', ago)}".rstrip(),
        ]
    )
    if not attributes:
        return line
    used = cells(f"{row.verb} {location}{ago}".rstrip())
    return f"{line}{' ' * (where - used)}{_GAP}{paint('dim', attributes)}"


def _fit_location(location: str, ago: str, room: int) -> tuple[str, str]:
    """Cut location and age to `room` columns: first the folders, then the age."""
    if cells(location) + len(ago) <= room:
        return location, ago
    short = _without_folders(location)
    if cells(short) + len(ago) <= room:
        return cut_left(location, room - len(ago)), ago
    return cut_left(location, room), ""


def _without_folders(location: str) -> str:
    """Return a location without the folders of its file; `…` marks that some were left out.

    >>> _without_folders("app/jobs.py:7 Batch.run")
    '…jobs.py:7 Batch.run'
    """
    path, blank, function = location.partition(":")
    name = path.rpartition("/")[2]
    return location if name == path else f"…{name}{blank}{function}"


def _padded(text: str, width: int) -> str:
    text = cut(text, width)
    return text + " " * (width - cells(text))


def _to_ascii(text: str) -> str:
    return text.replace("…", "~").encode("ascii", "backslashreplace").decode()


def _unchanged(text: str) -> str:
    return text


def json_line(span: OpenSpan) -> bytes:
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
