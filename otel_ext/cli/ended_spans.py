"""What dead processes were doing: the spans that a recovery ends, for people and programs.

They are looked at before the recovery, as `ps` does it, since their end records do
not say where they were last; told of are those of processes that it recovered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.cli.span_table import cut_left
from otel_ext.cli.span_tree import as_tree
from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.journal.files import list_segments, parse_segment_name
from otel_ext.observe.snapshot import Collector
from otel_ext.record.sanitise.values import encode_object
from otel_ext.terminal import cells, cut, duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.journal.recovery.recover import RecoveryReport
    from otel_ext.observe.snapshot import Running

__all__ = ["Ended", "as_dicts", "ended_by", "lines_of", "open_in"]

_MAX_SHOWN: Final = 10
_GAP: Final = "  "
# Where the output has no width, as in a file or a pipe.
_PLENTY: Final = 1_000
_LONGEST_ATTRIBUTES: Final = 80
_LEAST_NAME: Final = 8
_ROOM_FOR_PROCESS: Final = 100
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
        Ended(span, max(seen_ns[span.process.id] - span.start_ns, 0))
        for span in found
        if span.process.id in seen_ns
    ]


def lines_of(
    ended: Sequence[Ended], total: int, *, width: int = 0, ascii_only: bool = False
) -> Iterator[str]:
    """Yield a line for each of the oldest spans, children under their parents.

    Args:
        ended: The spans.
        total: How many were ended in all.
        width: Columns there are; 0 for as many as it takes.
        ascii_only: Whether the lines must do without Unicode.
    """
    ages = {(one.span.process.id, one.span.record.key): one.age_ns for one in ended}
    oldest = [one.span for one in ended[:_MAX_SHOWN]]
    rows = [
        (duration(ages[span.process.id, span.record.key]), branch, span)
        for branch, span in as_tree(oldest, ascii_only=ascii_only)
    ]
    age_width = max((cells(age) for age, _, _ in rows), default=0)
    room = (width or _PLENTY) - age_width - 2 * len(_GAP)
    is_named = room >= _ROOM_FOR_PROCESS or len({span.process.id for _, _, span in rows}) > 1
    for age, branch, span in rows:
        line = f"{_GAP}{age.rjust(age_width)}{_GAP}{_what(branch, span, room, is_named=is_named)}"
        yield line.replace("…", "~") if ascii_only else line
    if rows and total > len(rows):
        yield f"  and {total - len(rows):,} more"
    doubtful = {one.span.process.label: one.span.process.reservation for one in ended}
    for label, reservation in doubtful.items():
        if reservation:
            yield f"{_GAP}[{printable(label)}] {reservation}"


def _what(branch: str, span: Running, room: int, *, is_named: bool) -> str:
    """Return which span it is, of which process if that is named, and where it was."""
    tails = [f"[{printable(span.process.label)}]"] if is_named else []
    if span.place.frame.file:
        verb = "at" if span.place.is_now else "opened"
        place = cut_left(printable(str(span.place.frame)), room // 2 - len(verb) - 1)
        tails.append(f"{verb} {place}")
    tail = "".join(_GAP + one for one in tails)
    name = cut(branch + printable(span.record.name), max(room - cells(tail), _LEAST_NAME))
    left = min(room - cells(name) - cells(tail) - len(_GAP), _LONGEST_ATTRIBUTES)
    attributes = format_attributes(span.record.attributes, left) if left >= _LEAST_NAME else ""
    return f"{name}{_GAP + attributes if attributes else ''}{tail}"


def as_dicts(ended: Sequence[Ended]) -> Mapping[str, list[dict[str, object]]]:
    """Return the oldest thousand spans for JSON, by their process's id."""
    found: dict[str, list[dict[str, object]]] = {}
    for span, age_ns in ended[:_MAX_TOLD]:
        record = span.record
        about: dict[str, object] = {
            "trace_id": record.trace_id,
            "span_id": record.span_id,
            "name": record.name,
            "status": record.status.code if record.status else None,
            "age_seconds": age_ns / 1e9,
            "attributes": orjson.Fragment(encode_object(record.attributes)),
            "where": {**span.place.frame.as_dict(), "now": span.place.is_now},
        }
        found.setdefault(span.process.id, []).append(about)
    return found
