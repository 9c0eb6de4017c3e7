"""A journal that goes on accepting lines after its program's exit handlers.

Exit handlers run in the reverse order of their registration, so those that the program
registered first run after ours, and finalizers run later still. At the exit the buffer is
drained and the ring buffer removed as by `close`. The thread that appends a later line
writes it to the file at once, since no worker may be left to do so. The lines that close
the file follow each of them, because any may be the last. See docs/adr/0017.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.journal.write.buffers import DirectWriter
from otel_ext.journal.write.journal import Journal
from otel_ext.journal.write.ring_buffer import RingBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_ext.journal.write.opening import LineBuffer, OpenJournal

__all__ = ["PostExitJournal"]

# Seconds that a caller whose write failed waits for another thread that writes.
_LATE_WAIT_SECONDS: Final = 0.25


class PostExitJournal(Journal):
    r"""A `Journal` that can be closed for the exit and still accepts lines.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> journal = PostExitJournal(folder, last_lines=lambda: [b'{"end":1}\n'])
    >>> journal.append(b'{"n":1}\n'), journal.close_for_exit(), journal.append(b'{"n":2}\n')
    (True, True, True)
    >>> [file.read_text().split() for file in folder.glob("*.jsonl")]
    [['{"n":1}', '{"end":1}', '{"n":2}', '{"end":1}']]
    """

    _is_exiting = False

    def close_for_exit(self, timeout: float = 2.0, *, unfinished: bool = False) -> bool:
        """Do what `close` does, but accept later lines, too. Idempotent.

        If `timeout` is too short to drain the ring buffer, it stays for `recover`, and takes the
        later lines. Returns whether all lines so far are in the file.
        """
        if self._is_exiting or self._closing:
            return True
        # If the journal is opened only from now on.
        self.settings = replace(self.settings, durability="write")
        self._unfinished = unfinished
        self._is_exiting = True
        if self._opened is None:
            return True
        deadline = monotonic() + timeout
        done = self._wait_for_drain(deadline)
        opened = self._opened
        self._use(opened)
        self.append_last()
        self._write_pending(opened)
        if done:
            self._wait_for_drain(deadline)  # this syncs the last lines, too
        else:
            opened.stamp()  # only the ring buffer, which stays, has the count of dropped records
        return done

    def _write_pending(self, opened: OpenJournal) -> None:
        """Write what waits in memory, or how many lines are lost: there may be no later try."""
        if isinstance(opened.buffer, RingBuffer) or not opened.buffer.pending:
            return
        if not self.drain(_LATE_WAIT_SECONDS) and (problem := self._backoff.problem):
            self._last.give_up(opened, self._draining, problem)

    def _drain_buffer(self, opened: OpenJournal) -> bool:
        done = opened.drain(rotate=False) if self._is_exiting else super()._drain_buffer(opened)
        if done and self._is_exiting:
            opened.segment.sync()
            if not isinstance(opened.buffer, DirectWriter):
                self._write_directly(opened)
        return done

    def _write_directly(self, drained: OpenJournal) -> None:
        """Replace a drained buffer: from now on callers write to the file themselves."""
        if self._hand_over(drained, drained.with_direct_writes(self.settings.ring_size)):
            needed = self._unfinished and drained.segment.target.file
            drained.buffer.close(remove=not needed)

    def _append_to(self, buffer: LineBuffer) -> Callable[[bytes], bool]:
        return self._append_after_exit if self._is_exiting else super()._append_to(buffer)

    def _append_after_exit(self, line: bytes) -> bool:
        """Take a line and append the lines that close the file."""
        opened = self._opened
        if opened is None:
            return self._append_closed(line)
        buffer = opened.buffer
        taken = buffer.append(line)
        self.append_last()
        if isinstance(buffer, DirectWriter) and buffer.pending and not buffer.problem:
            self.drain(_LATE_WAIT_SECONDS)  # a write failed, and there may be no later try
        return taken
