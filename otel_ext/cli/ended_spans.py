"""Shows the spans that a recovery ended, and where each was last.

They are read before the recovery, as `ps` does, because end records do not contain
the last location. Only spans of processes that were recovered are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.cli.span_table import as_tree
from otel_ext.exporters.console.attributes import format_attributes
from otel_ext.journal.names import list_segments, parse_segment_name
from otel_ext.observe.snapshot import SnapshotReader
from otel_ext.readable import duration
from otel_ext.record.sanitise.values import encode_object
from otel_ext.terminal.canvas import PLENTY
from otel_ext.terminal.table import GAP
from otel_ext.terminal.text import cells, cut, cut_left, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_ext.journal.recovery.recover import RecoveryReport
    from otel_ext.observe.spans import ObservedSpan
    from otel_ext.terminal.canvas import Canvas

__all__ = ["EndedSpan", "as_dicts", "ended_by", "lines_of", "open_in"]

_MAX_SHOWN: Final = 10
_LONGEST_ATTRIBUTES: Final = 80
_LEAST_NAME: Final = 8
_ROOM_FOR_PROCESS: Final = 100
_MAX_IN_JSON: Final = 1_000


class EndedSpan(NamedTuple):
    """A span that recovery ended because its process died.

    Attributes:
        span: The span as it was before the recovery.
        age_ns: Time from its start until its process was last active.
    """

    span: ObservedSpan
    age_ns: int


def open_in(folder: Path) -> tuple[ObservedSpan, ...]:
    """Return the open spans in a folder of records, oldest first; nothing is written."""
    # Files that several processes share have to be listed as single files.
    shared = [path for path in list_segments(folder) if parse_segment_name(path.name) is None]
    return SnapshotReader([folder, *shared], other_hosts=True).read().spans


def ended_by(report: RecoveryReport, found: Sequence[ObservedSpan]) -> list[EndedSpan]:
    """Return the spans of `found` whose process was recovered by `report`."""
    seen_ns = {
        one.process.id: one.last_seen_ns
        for one in report.recovered
        if one.spans and not one.problem
    }
    return [
        EndedSpan(span, max(seen_ns[span.process.id] - span.start_ns, 0))
        for span in found
        if span.process.id in seen_ns
    ]


def lines_of(ended: Sequence[EndedSpan], total: int, canvas: Canvas) -> Iterator[str]:
    """Yield a line for each of the oldest spans, below their parents, and one for all others."""
    ages = {(one.span.process.id, one.span.record.key): one.age_ns for one in ended}
    oldest = [one.span for one in ended[:_MAX_SHOWN]]
    rows = [
        (duration(ages[span.process.id, span.record.key]), branch, span)
        for branch, span in as_tree(oldest, canvas)
    ]
    age_width = max((cells(age) for age, _, _ in rows), default=0)
    room = (canvas.width or PLENTY) - age_width - 2 * len(GAP)
    is_named = room >= _ROOM_FOR_PROCESS or len({span.process.id for _, _, span in rows}) > 1
    for age, branch, span in rows:
        description = _description(branch, span, room, is_named=is_named)
        yield f"{GAP}{age.rjust(age_width)}{GAP}{description}"
    if rows and total > len(rows):
        yield f"  and {total - len(rows):,} more"
    reasons = {one.span.process.label: one.span.process.missing_ends_reason for one in ended}
    for label, reason in reasons.items():
        if reason:
            yield f"{GAP}[{printable(label)}] {reason}"


def _description(branch: str, span: ObservedSpan, room: int, *, is_named: bool) -> str:
    """Return name, attributes, process (if `is_named`) and location of a span."""
    tails = [f"[{printable(span.process.label)}]"] if is_named else []
    if span.location.frame.file:
        verb = "at" if span.location.is_now else "opened"
        location = cut_left(printable(str(span.location.frame)), room // 2 - len(verb) - 1)
        tails.append(f"{verb} {location}")
    tail = "".join(GAP + one for one in tails)
    name = cut(branch + printable(span.record.name), max(room - cells(tail), _LEAST_NAME))
    left = min(room - cells(name) - cells(tail) - len(GAP), _LONGEST_ATTRIBUTES)
    attributes = format_attributes(span.record.attributes, left) if left >= _LEAST_NAME else ""
    return f"{name}{GAP + attributes if attributes else ''}{tail}"


def as_dicts(ended: Sequence[EndedSpan]) -> Mapping[str, list[dict[str, object]]]:
    """Return the oldest thousand spans for JSON, by the id of their process."""
    found: dict[str, list[dict[str, object]]] = {}
    for span, age_ns in ended[:_MAX_IN_JSON]:
        record = span.record
        about: dict[str, object] = {
            "trace_id": record.trace_id,
            "span_id": record.span_id,
            "name": record.name,
            "status": record.status.code if record.status else None,
            "age_seconds": age_ns / 1e9,
            "attributes": orjson.Fragment(encode_object(record.attributes)),
            "where": {**span.location.frame.as_dict(), "now": span.location.is_now},
        }
        found.setdefault(span.process.id, []).append(about)
    return found
