"""Checks of `otel-ext doctor` for programs: those that run, those that ended, and their span ids.

A program records in its heartbeats, and when it ends, how many records it dropped and how full
its buffer has been; the last of these records is at the end of its file.
"""

from __future__ import annotations

from collections import Counter
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from otel_ext.cli.commands.doctor.check import Check
from otel_ext.journal.files import TAIL_BYTES
from otel_ext.journal.liveness import identity_from_id
from otel_ext.journal.names import list_segments
from otel_ext.journal.read.incarnations import base_id, modified_ns
from otel_ext.journal.read.scanner import Line, scan
from otel_ext.readable import count_of, duration, listed, size
from otel_ext.record.entities import HEALTH
from otel_ext.record.model import EMPTY
from otel_ext.record.repeated_ids import REPEATED_IDS_ADVICE, RepeatedIds
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.cli.commands.doctor.check import Finding
    from otel_ext.observe.processes import RunningProcess
    from otel_ext.observe.snapshot import Snapshot

__all__ = ["check_ended", "check_ids", "check_processes", "check_running"]

_MAX_FILES: Final = 64
# Generators with the same seed agree from their first span on.
_MAX_BYTES: Final = 256 * 1024
_MAX_NAMES: Final = 3
_NEARLY_FULL: Final = 80
_RECENT_SECONDS: Final = 86_400
_RAISE: Final = "Raise ring-size before records are dropped"
_ADVICE: Final = {
    "queue_full": "The file could not be written as fast as records came: raise ring-size,"
    " or name a faster disk",
    "write_failed": "The output cannot be written: look at room and permissions above",
    "inflight_full": "Raise max-open-spans",
    "encode_failed": "Its standard error names the record that could not be encoded",
    "not_written": "The output could not be written when the program ended: look at room and"
    " permissions above",
}


def check_processes(snapshot: Snapshot) -> Iterator[Check]:
    """Check the running programs of the folders, and what dead ones left behind."""
    spans = Counter(span.process.id for span in snapshot.spans)
    living = [process for process in snapshot.processes if process.lives]
    if not living:
        yield Check("running", "note", "no program is recording in these folders")
    for process in living:
        yield _process(process, spans[process.id], snapshot.time_ns)
    yield from _parts(snapshot)
    yield from _leftovers(snapshot, spans)
    yield from check_ended(snapshot)
    yield from check_ids(snapshot)


def _process(process: RunningProcess, spans: int, now_ns: int) -> Check:
    part = printable(process.label)
    detail = f"{spans:,} open" + _heartbeat_detail(process)
    if process.condition == "stopped":
        text = f"stopped by a signal or debugger; {detail}"
        return Check(part, "degraded", text, f"kill -CONT {process.pid}")
    if process.condition == "blocked":
        return Check(
            part,
            "degraded",
            f"{process.problem}; {detail}",
            f"Look at the disk under {process.folder}; records wait in the ring buffer until it"
            " is full, then they are dropped and counted",
        )
    if process.condition == "hung":
        since = duration(max(now_ns - process.last_seen_ns, 0))
        problem = process.problem or f"hangs: nothing in it has run for {since}"
        hint = f"otel-ext ps --process {process.pid} shows what it was doing"
        return Check(part, "degraded", f"{problem}; {detail}", hint)
    return check_running(part, detail, process)


def _parts(snapshot: Snapshot) -> Iterator[Check]:
    """Yield the parts in running programs that do not work as configured, as these recorded."""
    for one in snapshot.entities:
        if one.entity.type == HEALTH and one.process.lives:
            facts = one.record.attributes
            state: Finding = "failed" if facts.get("state") == "failed" else "degraded"
            detail = f"{printable(one.entity.id)}: {printable(str(facts.get('detail') or state))}"
            yield Check(printable(one.process.label), state, detail)


def _heartbeat_detail(process: RunningProcess) -> str:
    extra = process.heartbeat.extra if process.heartbeat is not None else EMPTY
    memory, written = extra.get("memory_bytes"), extra.get("written")
    text = f", {written:,} written" if type(written) is int else ""
    return f"{text}, {size(memory)} of memory" if type(memory) is int and memory else text


def _leftovers(snapshot: Snapshot, spans: Counter[str]) -> Iterator[Check]:
    dead = [process for process in snapshot.processes if not process.lives]
    for folder in sorted({process.folder for process in dead}):
        own = [process for process in dead if process.folder == folder]
        count = sum(spans[process.id] for process in own)
        rings = sum(len(process.rings) for process in own)
        processes = "1 process that is" if len(own) == 1 else f"{len(own):,} processes that are"
        left = f"{count_of(count, 'open span')} and {count_of(rings, 'ring buffer')}"
        reasons = sorted({one.missing_ends_reason for one in own if one.missing_ends_reason})
        yield Check(
            "leftovers",
            "degraded",
            "; ".join([f"{processes} gone left {left} in {folder}", *reasons]),
            f"Run: otel-ext recover {printable(str(folder))}",
        )


class _BufferReport(NamedTuple):
    """How many records a process dropped, by reason, and the highest fill of its buffer, in %."""

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


def check_ids(snapshot: Snapshot) -> Iterator[Check]:
    """Yield a check if several processes use the same ids for their spans.

    It reads the beginnings of the newest files and the running spans; `otel-ext validate`
    reads whole files.
    """
    ids = RepeatedIds()
    for path in newest_files(snapshot.folders):
        for item in scan(path):
            if item.offset > _MAX_BYTES:
                break
            if isinstance(item, Line) and item.meta.get("phase") == "start":
                key = (str(item.meta.get("trace_id")), str(item.meta.get("span_id")))
                ids.note_start(key, item.key[0])
    for span in snapshot.spans:
        ids.note_start(span.record.key, span.record.process.id)
    if not ids.count:
        return
    labels = {process.id: process.label for process in snapshot.processes}
    names = sorted({labels.get(base_id(name)) or _pid(name) for name in ids.processes})
    shown = listed(list(map(printable, names)), _MAX_NAMES)
    spans = "1 span has an id" if ids.count == 1 else f"{ids.count:,} spans have ids"
    text = f"{spans} that several processes use: {shown}"
    yield Check("ids", "degraded", text, REPEATED_IDS_ADVICE)


def newest_files(folders: Iterable[Path]) -> list[Path]:
    """Return the 64 files of records that were written last, newest first."""
    files = [
        path
        for folder in folders
        for path in ([folder] if folder.is_file() else list_segments(folder))
    ]
    return sorted(files, key=lambda path: modified_ns([path]), reverse=True)[:_MAX_FILES]


def _pid(process: str) -> str:
    """Return the pid in an incarnation's id; the id itself if it has none."""
    identity = identity_from_id(process)
    return process if identity is None else str(identity.pid)
