"""Opens a journal: chooses its buffer by the settings and by what the file system can do."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import count
from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from otel_ext._accel import choose
from otel_ext.errors import JournalError
from otel_ext.journal.files import Target, make_folder, open_folder, standard_descriptors_filled
from otel_ext.journal.filesystem import file_system_of
from otel_ext.journal.names import ring_file
from otel_ext.journal.ring_layout import RING_FOLDER, RingFacts
from otel_ext.journal.write.buffers import DirectWriter, QueueBuffer
from otel_ext.journal.write.ring_buffer import CHUNKS, RingBuffer
from otel_ext.journal.write.segment import SegmentWriter
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.process.incarnation import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_ext.journal.settings import Durability, JournalSettings

__all__ = [
    "JournalState",
    "LineBuffer",
    "Mode",
    "OpenJournal",
    "make_lines",
    "open_journal",
    "release_journal_number",
    "target_of",
]

Mode = Literal["unopened", "mapped", "queued", "write", "closed"]
LineBuffer: TypeAlias = RingBuffer | QueueBuffer
"""Where lines wait until the worker has written them to the file."""
FILE_SUFFIXES: Final = frozenset({".jsonl", ".json"})
_MAX_RINGS: Final = 8
_ATTEMPTS: Final = 5
_PAGE: Final = 65_536  # a multiple of every platform's granularity for mapping
# The journals that are open. A forked child is another incarnation, so for it inherited
# entries have no effect.
_numbers: Final[dict[tuple[Path, str, int], object]] = {}


class JournalState(NamedTuple):
    """The state of a journal, for `health()` and `doctor`.

    Attributes:
        mode: How lines leave the caller.
        reason: Why it is not the configured mode; empty if it is.
        segment: The file that is written to; None before the first line is in it.
        pending: Bytes that wait to be written.
        problem: Why the file cannot be written now, or only slowly; empty if it can.
    """

    mode: Mode
    reason: str
    segment: Path | None
    pending: int
    problem: str


class OpenJournal(NamedTuple):
    """The parts of a journal that has been opened.

    Attributes:
        mode: How lines leave their caller.
        reason: Why that is not the configured mode; empty if it is.
        buffer: Where lines wait.
        segment: The file they are written to.
    """

    mode: Durability
    reason: str
    buffer: LineBuffer
    segment: SegmentWriter

    def with_direct_writes(self, max_bytes: int) -> OpenJournal:
        """Return this journal with callers writing to the file, as for `durability=write`."""
        self.segment.allow_direct_writes()
        return self._replace(mode="write", reason="", buffer=DirectWriter(self.segment, max_bytes))

    def write(self, lines: memoryview) -> int:
        """Write lines to the file and count them; see `SegmentWriter.write`."""
        kept = self.segment.write(lines)
        if kept:
            with lines[:kept] as part:
                COUNTERS.add("written", _count_lines(part))
        if not isinstance(self.buffer, RingBuffer):
            self._rotate()
        return kept

    def _rotate(self) -> None:
        # The lines are in the file; the next call reports what fails from here on.
        with suppress(OSError):
            self.segment.rotate_if_due()

    def drain(self, *, rotate: bool) -> bool:
        """Write what waits to the file; return whether nothing is left.

        A small ring buffer may yield lines in another order than they came in. A segment
        repeats the open spans and is read alone, so it begins only where no start can
        follow the end of its span into it.

        Args:
            rotate: Whether the next segment may begin: not after the last lines.
        """
        buffer = self.buffer
        is_writing = buffer.pending > 0
        done = buffer.drain(self.write)
        if rotate and done and is_writing and isinstance(buffer, RingBuffer) and buffer.is_in_order:
            self._rotate()
        return done

    def stamp(self) -> None:
        """Stamp the ring buffer, if there is one, with the time and the counts."""
        dropped = sum(COUNTERS.dropped().values())
        self.buffer.stamp(time_ns(), current().last_seq, dropped)


def _count_lines_python(lines: memoryview) -> int:
    return bytes(lines).count(b"\n")


_count_lines: Final = choose("count_lines", _count_lines_python)


def make_lines(make: Callable[[], Iterable[bytes]]) -> list[bytes]:
    """Return the made lines; none, after a report, if making them raises."""
    try:
        return list(make())
    except Exception as error:  # noqa: BLE001 - the records themselves must go on
        report_problem("journal: the first lines of a file could not be made", error)
        return []


def target_of(path: Path, incarnation: str) -> Target:
    """Return the target for `path`: a file by what exists or by its name, else a folder."""
    try:
        # Checked once: another process may create the folder at any moment.
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - on the user's path
    except (OSError, ValueError):
        is_folder = path.suffix not in FILE_SUFFIXES
    if is_folder:
        return Target(path, incarnation)
    return Target(path.parent, incarnation, path.name)


def _claim_journal_number(folder: Path, incarnation: str) -> int:
    """Return the lowest number that no other journal of the incarnation has in `folder`.

    Most programs have one exporter for a folder. If there are several, each has files and a
    ring buffer of its own, named with this number, so that a reader finds the newest segment
    of each.
    """
    mine = object()
    # `setdefault` is one step of the interpreter, so two threads never get the same number.
    return next(n for n in count() if _numbers.setdefault((folder, incarnation, n), mine) is mine)


def release_journal_number(folder: Path, incarnation: str, number: int) -> None:
    """Make the number free: its journal left nothing that a reader must find."""
    _numbers.pop((folder, incarnation, number), None)


def open_journal(
    path: Path,
    settings: JournalSettings,
    first_lines: Callable[[], Iterable[bytes]],
    *,
    journal: int | None = None,
) -> OpenJournal:
    """Open a journal that writes to `path`; with a queue in memory if there is no ring buffer.

    Args:
        path: A folder or a file.
        settings: How lines are kept.
        first_lines: Makes the lines that begin every further file.
        journal: Number of the journal; None for a new one.
    """
    target = target_of(path, current().id)
    if journal is None:
        journal = _claim_journal_number(target.folder, target.incarnation)
    target = target._replace(journal=journal)
    mode = settings.durability
    segment = SegmentWriter(
        target,
        first_lines=first_lines,
        max_bytes=settings.segment_size,
        max_age=settings.segment_age,
        sync=settings.sync,
        direct=mode == "write",
    )
    reason = ""
    if mode == "mapped":
        try:
            return OpenJournal(mode, "", _make_ring(target, settings.ring_size), segment)
        except (OSError, ValueError) as error:
            reason = f"no ring buffer: {error}"
    elif mode == "write":
        try:
            segment.open()
        except OSError as error:
            report_problem(f"journal: {path} cannot be written", error)
        return OpenJournal(mode, "", DirectWriter(segment, settings.ring_size), segment)
    if reason:
        report_problem("journal: records wait in memory, where a kill loses up to 50 ms", reason)
    return OpenJournal("queued", reason, QueueBuffer(settings.ring_size), segment)


def _make_ring(target: Target, ring_size: int) -> RingBuffer:
    make_folder(target.folder)
    file_system = file_system_of(target.folder)
    if not file_system.can_map:
        raise JournalError(file_system.refusal)
    chunk_size = max(ring_size // CHUNKS // _PAGE, 1) * _PAGE
    size = chunk_size * CHUNKS
    facts = RingFacts(current().process, time_ns(), target.file, size, chunk_size)
    if target.journal >= _MAX_RINGS:
        folder = str(target.folder / RING_FOLDER)
        raise JournalError(f"{folder!r} holds {_MAX_RINGS} ring buffers of this process")
    path = target.folder.joinpath(RING_FOLDER, ring_file(target.incarnation, target.journal))
    for _ in range(_ATTEMPTS):
        try:
            with standard_descriptors_filled():
                return _create_ring(path, facts)
        except FileNotFoundError:
            continue  # another process has just removed the folder, empty
    raise JournalError(f"{str(path.parent)!r} is created and removed again by other processes")


def _create_ring(path: Path, facts: RingFacts) -> RingBuffer:
    folder = open_folder(path.parent, create=True)
    try:
        return RingBuffer.create(folder, path, facts)
    finally:
        os.close(folder)
