"""Ends the spans that dead processes left open in a folder of records.

For each incarnation whose process is dead, the lines that are only in its ring buffer are
written to its file, each open span gets an end record (`abandoned: process-died`), and the
incarnation a `process.end`. Idempotent. Two recoveries at once share the work: each
incarnation is recovered under a lock that the kernel releases when its holder dies.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple

from otel_ext.errors import JournalError
from otel_ext.journal.files import Target, ends_with_process_end, is_gone, open_folder
from otel_ext.journal.liveness import identity_from_id, is_alive, is_this_boot, liveness_of
from otel_ext.journal.names import list_segments, newest_segments, parse_segment_name
from otel_ext.journal.read.folder import MAX_SKIPPED, read_incarnations
from otel_ext.journal.read.incarnations import IncarnationReader, base_id, modified_ns
from otel_ext.journal.read.replaced_programs import replaced_incarnations
from otel_ext.journal.read.scanner import Line, Skipped, scan
from otel_ext.journal.recovery.end_records import process_ends, span_end
from otel_ext.journal.recovery.exit_status import Outcome, PidAndStart, find_outcome
from otel_ext.journal.recovery.locking import incarnation_lock, incarnations_with_ring
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX
from otel_ext.journal.write.segment import SegmentWriter
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.model import Process
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from otel_ext.record.timestamps import format_ns
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Recovered", "RecoveryReport", "recover", "recover_one"]


class Recovered(NamedTuple):
    """The result for one incarnation.

    Attributes:
        process: The process that died.
        spans: How many open spans got an end.
        lines: How many lines were written from its ring buffer.
        last_seen_ns: When it was last alive, nanoseconds since the epoch.
        file: The file that was written to, the first one if it had several journals;
            None if nothing had to be written.
        problem: Why recovery failed; empty if it did not.
        had_ring: Whether it had a ring buffer: without one, what waited in memory is lost.
    """

    process: Process
    spans: int
    lines: int
    last_seen_ns: int
    file: Path | None
    problem: str = ""
    had_ring: bool = False


@dataclass
class RecoveryReport:
    """The result for a folder.

    Args:
        folder: The folder of records.
        recovered: One result for each incarnation that needed recovery.
        living: Ids of incarnations that live, which were not changed.
        uncertain: Ids of incarnations that may live: they are on another host or in
            another container, and were seen alive lately.
        busy: Ids of incarnations that another recovery works on.
        skipped: Damaged ranges in the files that were read, at most 1,000.
        skipped_bytes: How many bytes were skipped in all.
    """

    folder: Path
    recovered: list[Recovered] = field(default_factory=list[Recovered])
    living: list[str] = field(default_factory=list[str])
    uncertain: list[str] = field(default_factory=list[str])
    busy: list[str] = field(default_factory=list[str])
    skipped: list[tuple[Path, Skipped]] = field(default_factory=list[tuple[Path, Skipped]])
    skipped_bytes: int = 0

    @property
    def spans(self) -> int:
        """How many open spans got an end."""
        return sum(one.spans for one in self.recovered)

    @property
    def failed(self) -> list[Recovered]:
        """The incarnations whose recovery failed."""
        return [one for one in self.recovered if one.problem]


class _Recovery:
    """One recovery of a folder."""

    def __init__(
        self,
        folder: Path,
        grace_seconds: float | None = None,
        outcomes: Mapping[PidAndStart, Outcome] | None = None,
        now_ns: int | None = None,
    ) -> None:
        self.folder = folder
        self.report = RecoveryReport(folder)
        self._grace_seconds = grace_seconds
        self._outcomes = outcomes or {}
        self._now_ns = time_ns() if now_ns is None else now_ns
        self._replaced = replaced_incarnations(folder)

    def recover(self, incarnation: str) -> None:
        """Recover one incarnation, if it is dead and no other recovery works on it."""
        try:
            process = None if incarnation in self._replaced else identity_from_id(incarnation)
            if process is not None and is_alive(process) == "alive":
                self.report.living.append(incarnation)
                return
            with incarnation_lock(self.folder, incarnation) as is_locked:
                if is_locked:
                    self._recover_locked(incarnation)
                else:
                    self.report.busy.append(incarnation)
        except Exception as error:  # noqa: BLE001 - one damaged incarnation must not stop the rest
            report_problem(f"recovery of {incarnation}", error)
            failed = Recovered(Process(incarnation), 0, 0, 0, None, str(error))
            self.report.recovered.append(failed)

    def _recover_locked(self, incarnation: str) -> None:
        # Read under the lock: another recovery may just have finished.
        found, skipped, skipped_bytes = read_incarnations(self.folder, only=incarnation)
        for path, damage in skipped:
            # Its lines are unknown: nothing may be written for it, and no ring buffer removed.
            if _is_unread(path, damage):
                raise OSError(f"{path.name!r} cannot be opened to read")
        journals = list(found.values())
        left = [reader for reader in journals if not self._is_done(reader)]
        if not left:
            return
        report = self.report
        report.skipped_bytes += skipped_bytes
        report.skipped += skipped[: MAX_SKIPPED - len(report.skipped)]
        if not any(self._may_live(reader, journals) for reader in left):
            report.recovered.append(self._recover(left, journals))

    @staticmethod
    def _is_done(reader: IncarnationReader) -> bool:
        # Not `not reader.spans.starts`: one may be too damaged to get an end.
        return reader.closed and not reader.rings and not reader.running()

    def _may_live(self, reader: IncarnationReader, journals: list[IncarnationReader]) -> bool:
        if reader.id in self._replaced:
            return False
        process = reader.facts().process
        if is_alive(process) == "alive":
            self.report.living.append(reader.id)
            return True
        # A process that is not proven to be dead must also have been silent for a while.
        silent_ns = self._now_ns - max(
            self._last_seen_ns(journals),
            modified_ns(
                path
                for one in journals
                for path in one.segments
                if parse_segment_name(path.name) is not None
            ),
        )
        limit = self._grace_seconds
        if limit is None:
            limit = max(one.facts().silence_limit for one in journals)
        if not _is_proven(process) and silent_ns < limit * 1e9:
            self.report.uncertain.append(reader.id)
            return True
        return False

    def _last_seen_ns(self, journals: list[IncarnationReader]) -> int:
        return max(reader.last_seen_ns(self._now_ns) for reader in journals)

    def _recover(
        self, left: list[IncarnationReader], journals: list[IncarnationReader]
    ) -> Recovered:
        """Recover the unfinished journals of one incarnation, each in its own file."""
        process = max((reader.facts().process for reader in left), key=lambda one: one.pid)
        outcome = find_outcome(self._outcomes, process)
        last_seen_ns = max(self._last_seen_ns(journals), outcome.seen_ns)
        facts: dict[str, object] = {"last_seen": format_ns(last_seen_ns), **outcome.as_extra()}
        had_ring = any(reader.rings for reader in journals)
        done = Recovered(process, 0, 0, last_seen_ns, None, had_ring=had_ring)
        for reader in left:
            done = self._recover_journal(reader, facts, done)
        return done

    def _recover_journal(
        self, reader: IncarnationReader, facts: Mapping[str, object], done: Recovered
    ) -> Recovered:
        """Recover one journal; return the result `done` of its incarnation with this added."""
        waiting = [
            line.data + b"\n"
            for ring in reader.rings
            for line in ring.lines
            if line.key not in reader.numbers.written
        ]
        at_ns = done.last_seen_ns
        records = [span_end(span.start, reader, at_ns, facts) for span in reader.running()]
        spans = len(records)
        if spans or not reader.closed:
            records.extend(process_ends(done.process, reader, at_ns, facts))
        encode = encode_compat_line if reader.is_compat else encode_line
        lines = [*waiting, *map(encode, records)]
        done = done._replace(spans=done.spans + spans, lines=done.lines + len(waiting))
        try:
            # Without lines, too: a recovery that died may have written but not synced them.
            path = self._write(reader, lines) if lines or reader.rings else None
            self._remove_rings(reader)
        except OSError as error:
            return done._replace(problem=str(error))
        return done._replace(file=done.file or (path if lines else None))

    def _write(self, reader: IncarnationReader, lines: list[bytes]) -> Path | None:
        name = self._file_of(reader)
        segment = parse_segment_name(name)
        process = reader.facts().process
        # Only the dead process wrote to its own file, so half a line can be cut off on a full disk.
        exclusive = segment is not None and segment.incarnation == reader.id and _is_proven(process)
        if exclusive:
            _cut_torn_line(self.folder / name, lines)
        target = Target(self.folder, reader.id, name, reader.journal)
        writer = SegmentWriter(target, exclusive=exclusive)
        try:
            writer.write_all(lines)
            # The ring buffer may be removed only when its lines are on the disk.
            writer.sync_or_fail()
            return writer.path
        finally:
            writer.close()

    def _file_of(self, reader: IncarnationReader) -> str:
        """Return the name of the file to append to; empty for a new segment."""
        for ring in reader.rings:
            if ring.target:
                return Path(ring.target).name
        if reader.segments:
            return reader.segments[-1].name
        # The process may have created a file and died before the first line was in it.
        newest = newest_segments(self.folder, or_fail=True).get((reader.id, reader.journal))
        return "" if newest is None else newest.name

    def _remove_rings(self, reader: IncarnationReader) -> None:
        if not reader.rings:
            return
        folder = open_folder(self.folder / RING_FOLDER)
        try:
            for ring in reader.rings:
                with suppress(FileNotFoundError):
                    os.unlink(ring.path.name, dir_fd=folder)
        finally:
            os.close(folder)


def _is_unread(path: Path, damage: Skipped) -> bool:
    """Return whether a ring buffer or a segment, which is still there, could not be opened."""
    is_journal = path.name.endswith(RING_SUFFIX) or parse_segment_name(path.name) is not None
    return damage == Skipped(0, 0, "unreadable") and is_journal and not is_gone(path)


def _cut_torn_line(path: Path, lines: list[bytes]) -> None:
    """Cut off half a line at the end of a file if it is the beginning of one of `lines`."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError), os.fdopen(os.open(path, flags), "r+b") as file:
        start = max(file.seek(0, os.SEEK_END) - MAX_LINE_BYTES, 0)
        file.seek(start)
        head, newline, torn = file.read().rpartition(b"\n")
        if torn and any(line.startswith(torn) for line in lines):
            file.truncate(start + len(head) + len(newline))


def _is_proven(process: Process) -> bool:
    """Return whether the kernel of this boot shows that the process is dead."""
    return liveness_of(process) == "dead" and is_this_boot(process.boot_id)


def _candidates(folder: Path) -> list[str]:
    """Return the ids of incarnations that may need recovery."""
    found = dict.fromkeys(incarnations_with_ring(folder))
    for path in list_segments(folder, or_fail=True):
        if parse_segment_name(path.name) is None:
            found.update(dict.fromkeys(_unfinished_in(path)))
    for (incarnation, _), path in newest_segments(folder, or_fail=True).items():
        if incarnation not in found and not ends_with_process_end(path):
            found[incarnation] = None
    return list(found)


def _unfinished_in(path: Path) -> list[str]:
    """Return the ids of incarnations in a shared file that have open spans or no end."""
    readers: dict[str, IncarnationReader] = {}
    for item in scan(path):
        if isinstance(item, Line):
            name = base_id(item.key[0])
            readers.setdefault(name, IncarnationReader(name)).add_line(item)
    return [
        reader.id
        for reader in readers.values()
        if identity_from_id(reader.id) is not None and (reader.spans.starts or not reader.closed)
    ]


def recover_one(folder: Path, incarnation: str) -> RecoveryReport:
    """Recover one incarnation of a folder, if it is dead; see `recover`."""
    recovery = _Recovery(folder)
    recovery.recover(incarnation)
    return recovery.report


def recover(
    folder: Path,
    *,
    grace_seconds: float | None = None,
    outcomes: Mapping[PidAndStart, Outcome] | None = None,
    now_ns: int | None = None,
) -> RecoveryReport:
    """End the spans that dead processes left open in a folder of records.

    Safe at any time: it does not change what living processes write, it is idempotent, and
    it can be killed at any point.

    Args:
        folder: The folder of records.
        grace_seconds: How long a process that cannot be checked (on another host or in a
            container) must have been silent; None for three of its heartbeats.
        outcomes: How processes of this boot ended, if the caller knows it, by pid and
            start time (clock ticks since boot), since the kernel uses pids again.
        now_ns: The time, nanoseconds since the epoch; None for the current time.

    Raises:
        JournalError: `folder` is not a folder, or cannot be read.
    """
    try:
        os.scandir(folder).close()
        candidates = _candidates(folder)
    except OSError as error:
        raise JournalError(
            f"the folder {str(folder)!r} cannot be read: {error.strerror}",
            hint="Name the folder that a program wrote its records to.",
            context={"path": str(folder), "errno": error.errno},
        ) from error
    recovery = _Recovery(folder, grace_seconds, outcomes, now_ns)
    for incarnation in candidates:
        recovery.recover(incarnation)
    return recovery.report
