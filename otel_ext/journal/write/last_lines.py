"""Writes the lines that close a file (`process.end`), and reserves room for them.

They come last, when a disk is most likely full. A ring buffer has room for them in its
header. For lines that wait in memory some blocks of the file system are reserved instead:
what waits is counted as lost, then the blocks are released for these lines.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.write.opening import make_lines
from otel_ext.journal.write.reserve import Reserve
from otel_ext.journal.write.ring_buffer import RingBuffer
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.journal.write.opening import OpenJournal
    from otel_ext.runtime.threads import Lock

__all__ = ["LastLines"]

_WAIT_SECONDS: Final = 0.1


class LastLines:
    """Keeps room for the lines that close one journal's file, and uses it.

    `make` makes the lines with the current counts, again if what waits could not be written.
    The journal releases `reserve` when it is no longer needed.
    """

    def __init__(self, make: Callable[[], Iterable[bytes]]) -> None:
        self._make = make
        self.reserve = Reserve()

    def reserve_room(self, opened: OpenJournal) -> None:
        """Reserve room for the lines unless a ring buffer has it; on the thread that writes."""
        if isinstance(opened.buffer, RingBuffer) or self.reserve.is_kept:
            return
        with suppress(OSError):  # the next write reports it
            opened.segment.open()
            if opened.segment.is_regular:
                self.reserve.keep(opened.segment.target.folder)

    def give_up(self, opened: OpenJournal, lock: Lock, problem: str) -> None:
        """Leave what waits in the ring buffer; count what waits in memory as lost.

        The thread that writes, perhaps to a disk that hangs, holds `lock`. `problem` is empty if
        the disk only hangs.
        """
        if not (problem and lock.acquire(timeout=_WAIT_SECONDS)):
            opened.buffer.close(remove=False)
            return
        try:
            lost = opened.buffer.close(remove=False)
            if lost:
                self._write_account(opened, lost, problem)
            self.reserve.release()
        finally:
            lock.release()

    def _write_account(self, opened: OpenJournal, lost: int, problem: str) -> None:
        """Write the lines into the reserved room, and report how many records are lost."""
        self.reserve.release()
        lines = b"".join(make_lines(self._make))
        written = 0
        with suppress(OSError):
            written = opened.write(memoryview(lines)) if lines else 0
        COUNTERS.add("dropped.not_written", lines[written:].count(b"\n"))
        account = "" if written else "; process.end could not be written either"
        report_problem(
            f"journal: {opened.segment.path}: {lost} records could not be written before the"
            f" program ended{account}",
            problem,
        )
