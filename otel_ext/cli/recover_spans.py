"""What dead processes were doing: the spans that a recovery ends, for people and programs.

They are looked at before the recovery, as `ps` does it, since their end records do
not say where they were last; told of are those of processes that it recovered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.cli.running import Collector
from otel_ext.cli.running_table import age_text
from otel_ext.cli.running_tree import as_tree
from otel_ext.exporters.console_text import cells, printable
from otel_ext.journal.files import list_segments, parse_segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.cli.running import Running
    from otel_ext.journal.recovery import RecoveryReport

__all__ = ["Ended", "as_dicts", "ended_by", "lines_of", "open_in"]

_MAX_SHOWN: Final = 10
_MAX_TOLD: Final = 1_000


class Ended(NamedTuple):
    """A span that was ended for its dead process.

    Attributes:
        span: How it was found.
        age_ns: From its start to the last sign of life of its process.
    """

    span: Running
    age_ns: int


def open_in(folder: Path) -> tuple[Running, ...]:
    """Return what is open in a folder of records, oldest first; only reads."""
    # Files that several processes share are named one by one.
    shared = [path for path in list_segments(folder) if parse_segment_name(path.name) is None]
    return Collector([folder, *shared], elsewhere=True).collect().spans


def ended_by(report: RecoveryReport, found: Sequence[Running]) -> list[Ended]:
    """Return the spans of `found` whose process `report` says was recovered."""
    seen_ns = {
        one.process.id: one.last_seen_ns
        for one in report.recovered
        if one.spans and not one.problem
    }
    return [
        Ended(span, max(seen_ns[span.process.id] - span.record.time_ns, 0))
        for span in found
        if span.process.id in seen_ns
    ]


def lines_of(ended: Sequence[Ended], total: int, *, ascii_only: bool = False) -> Iterator[str]:
    """Yield a line for each of the oldest spans, children under their parents.

    Args:
        ended: The spans.
        total: How many were ended in all.
        ascii_only: Whether the lines must do without Unicode.
    """
    ages = {one.span.record.key: one.age_ns for one in ended}
    oldest = [one.span for one in ended[:_MAX_SHOWN]]
    rows = [
        (
            age_text(ages[span.record.key]),
            branch + printable(span.record.name),
            printable(span.process.label),
            _where(span),
        )
        for branch, span in as_tree(oldest, ascii_only=ascii_only)
    ]
    age, name, process = (max((cells(row[at]) for row in rows), default=0) for at in range(3))
    for row in rows:
        texts = (row[0].rjust(age), _padded(row[1], name), _padded(row[2], process), row[3])
        yield f"  {'  '.join(texts)}".rstrip()
    if rows and total > len(rows):
        yield f"  and {total - len(rows):,} more"


def _where(span: Running) -> str:
    verb = "at" if span.place.is_now else "opened"
    return f"{verb} {printable(str(span.place.frame))}" if span.place.frame.file else ""


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def as_dicts(ended: Sequence[Ended]) -> Mapping[str, list[dict[str, object]]]:
    """Return the oldest thousand spans for JSON, by their process's id."""
    found: dict[str, list[dict[str, object]]] = {}
    for span, age_ns in ended[:_MAX_TOLD]:
        record = span.record
        about: dict[str, object] = {
            "trace_id": record.trace_id,
            "span_id": record.span_id,
            "name": record.name,
            "age_seconds": age_ns / 1e9,
            "where": {**span.place.frame.as_dict(), "now": span.place.is_now},
        }
        found.setdefault(span.process.id, []).append(about)
    return found
