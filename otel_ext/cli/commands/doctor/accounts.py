"""Checks of `otel-ext doctor` for dropped records and for buffers that came close to full.

A program records both in its heartbeats and when it ends; the last of these records is at
the end of its file.
"""

from __future__ import annotations

from collections import Counter
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.commands.doctor.check import Check
from otel_ext.cli.commands.doctor.ids import newest_files
from otel_ext.journal.files import TAIL_BYTES
from otel_ext.journal.read.incarnations import base_id, modified_ns
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.readable import count_of
from otel_ext.record.model import EMPTY
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["check_ended", "check_running"]

_NEARLY_FULL: Final = 80
_RECENT_SECONDS: Final = 86_400
_RAISE: Final = "Raise ring-size before records are dropped"
_ADVICE: Final = {
    "queue_full": "The file could not be written as fast as records came: raise ring-size,"
    " or name a faster disk",
    "write_failed": "The output cannot be written: look at room and permissions above",
    "inflight_full": "Raise max-open-spans",
    "encode_failed": "Its standard error says which record could not be encoded",
    "not_written": "The output could not be written when the program ended: look at room and"
    " permissions above",
}


class _BufferReport(NamedTuple):
    """How many records a process dropped, and how full its buffer has been.

    Attributes:
        dropped: Number of dropped records by reason.
        peak: The highest fill of the buffer, in per cent.
    """

    dropped: Counter[str]
    peak: int

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> _BufferReport:
        found, peak = facts.get("dropped"), facts.get("buffer_peak")
        counts = cast("Mapping[str, object]", found if isinstance(found, dict) else EMPTY)
        dropped = {printable(key): n for key, n in counts.items() if type(n) is int and n > 0}
        return cls(Counter(dropped), peak if type(peak) is int else 0)

    @property
    def reasons(self) -> str:
        return ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.dropped.items()))

    @property
    def advice(self) -> str:
        return _ADVICE.get(max(self.dropped, key=lambda reason: self.dropped[reason]), "")


def check_running(part: str, detail: str, process: RunningProcess) -> Check:
    """Check a running process by its newest heartbeat."""
    report = _BufferReport.of(EMPTY if process.heartbeat is None else process.heartbeat.extra)
    if report.dropped:
        text = f"records were dropped: {report.reasons}; {detail}"
        return Check(part, "degraded", text, report.advice)
    if report.peak >= _NEARLY_FULL:
        text = f"its buffer came close to full: {report.peak} %; {detail}"
        return Check(part, "note", text, _RAISE)
    return Check(part, "healthy", detail)


def check_ended(snapshot: Snapshot) -> Iterator[Check]:
    """Check the programs that ended within a day, by their last records."""
    living = {process.id for process in snapshot.processes if process.lives}
    reports: dict[str, _BufferReport] = {}
    for path in newest_files(snapshot.folders):
        if time() - modified_ns([path]) / 1e9 > _RECENT_SECONDS:
            break
        reports = {**_reports_in(path), **reports}  # keep the newest of each program
    ended = [report for name, report in reports.items() if name not in living]
    with_drops = [report for report in ended if report.dropped]
    if with_drops:
        total = _BufferReport(sum((one.dropped for one in with_drops), Counter[str]()), 0)
        text = f"dropped {total.dropped.total():,} records within a day: {total.reasons}"
        programs = count_of(len(with_drops), "program")
        yield Check("ended", "degraded", f"{programs} {text}", total.advice)
    peaks = [one.peak for one in ended if not one.dropped and one.peak >= _NEARLY_FULL]
    if peaks:
        text = f"the buffer of {count_of(len(peaks), 'program')} came close to full: {max(peaks)} %"
        yield Check("ended", "note", text, _RAISE)


def _reports_in(path: Path) -> dict[str, _BufferReport]:
    """Return the last report of each process, from the end of a file."""
    return {
        base_id(item.key[0]): _BufferReport.of(item.meta)
        for item in scan(path, -TAIL_BYTES)
        if isinstance(item, Line) and "dropped" in item.meta
    }
