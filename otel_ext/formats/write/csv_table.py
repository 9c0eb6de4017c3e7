"""A table in CSV, a row for each span, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import TYPE_CHECKING, Final

from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_ext.formats.write.written import TraceToWrite

__all__ = ["to_csv"]

_COLUMNS: Final = (
    *("trace_id", "span_id", "parent_span_id", "name", "service", "kind", "state", "start"),
    *("duration_ns", "error", "file", "line", "process", "attributes"),
)
# A cell that begins with one of these, in any width, is a formula for a spreadsheet.
_FORMULA: Final = frozenset("=+-@")
_BREAKS: Final = ("\t", "\r", "\n")
# Spaces, controls, and marks without a width, which a spreadsheet may leave out.
_UNSEEN: Final = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Mn"))


def to_csv(traces: Iterable[TraceToWrite]) -> Iterator[bytes]:
    """Yield the lines of a table, the first with the names of its columns."""
    yield _line(_COLUMNS)
    for trace in traces:
        for number, span in trace.spans():
            file, line, _ = span.site
            yield _line(
                (
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    span.name,
                    trace.service(span),
                    span.kind,
                    span.state,
                    format_ns(trace.times.starts[number]),
                    "" if span.is_open else str(trace.times.duration(number)),
                    span.error,
                    file if line else "",
                    str(line) if line else "",
                    span.process,
                    encode_object(trace.attributes(span)).decode(),
                )
            )


def _line(cells: Iterable[str]) -> bytes:
    r"""Return a line; what a spreadsheet would calculate begins with an apostrophe.

    Each cell is in quotes, so that a semicolon does not end it where lists have semicolons.

    >>> _line(["=1+1", "a"])
    b'"\'=1+1","a"\r\n'
    """
    text = io.StringIO()
    kept = (cell.replace("\0", "") for cell in cells)
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(
        [f"'{cell}" if _is_formula(cell) else cell for cell in kept]
    )
    return text.getvalue().encode("utf-8", "backslashreplace")


def _is_formula(cell: str) -> bool:
    """Whether a spreadsheet may take a cell as a formula.

    >>> _is_formula("\u200b\uff1d1"), _is_formula("a=1")
    (True, False)
    """
    if cell.startswith(_BREAKS):
        return True
    seen = next((one for one in cell if unicodedata.category(one) not in _UNSEEN), " ")
    return unicodedata.normalize("NFKC", seen)[0] in _FORMULA
