"""Buffers in which lines wait for the worker: a queue in memory, or writes to the file itself.

They have the methods of the ring buffer. A line that `append` refuses is counted.
"""

from __future__ import annotations

import os
from collections import deque
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.journal.write.segment import SegmentWriter

__all__ = ["DirectWriter", "QueueBuffer"]

_STEP: Final = 256 * 1024
_SLOW_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 30.0
_SLOW: Final = "a write took more than 1 s, so records wait in memory for 30 s"


class QueueBuffer:
    """Holds at most `max_bytes` in the process's own memory, where a kill loses them."""

    problem = ""
    is_lost = False

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._peak = 0
        self._batch = memoryview(b"")
        self._refusal = ""

    def append(self, line: bytes) -> bool:
        """Take one line; return whether there was room."""
        size = self._bytes + len(line)
        if size > self._max_bytes or self._refusal:
            COUNTERS.add(f"dropped.{self._refusal or 'queue_full'}")
            return False
        # Two threads may lose one of two additions; the worker counts again.
        self._bytes = size
        self._lines.append(line)
        return True

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Take the lines that close the file, after all others, however full it is."""
        if not self._refusal:
            self._lines.extend(lines)
            self._bytes = self._count()

    @property
    def pending(self) -> int:
        """About how many bytes wait for the worker."""
        return self._bytes if self._lines or self._batch else 0

    @property
    def peak(self) -> int:
        """The largest part of it that has been in use, in per cent."""
        self._peak = max(self._peak, self._bytes)
        return min(100 * self._peak // self._max_bytes, 100)

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Write what waits to the file; return whether nothing is left."""
        self._peak = max(self._peak, self._bytes)  # it shrinks from here on
        try:
            while self._batch or self._next_batch():
                kept = write(self._batch)
                self._batch = self._batch[kept:]
                if kept == 0:
                    return False
        finally:
            self._bytes = self._count()
        return True

    def _next_batch(self) -> bool:
        lines: list[bytes] = []
        size = 0
        while self._lines and size < _STEP:
            line = self._lines.popleft()
            size += len(line)
            lines.append(line)
        self._batch = memoryview(b"".join(lines))
        return size > 0

    def _count(self) -> int:
        # A copy of the deque is made in one step of the interpreter.
        return len(self._batch) + sum(map(len, self._lines.copy()))

    def stamp(self, now_ns: int, last_seq: int, dropped: int = 0) -> None:
        """Do nothing: no other process reads this memory."""

    def seal(self, reason: str) -> None:
        """Take no more lines; later ones are counted under `dropped.REASON`."""
        self._refusal = reason

    def abandon(self) -> None:
        """Refuse all lines in a forked child, without changing what belongs to the parent."""
        self._refusal = "forked"

    def close(self, *, remove: bool) -> int:
        """Count unwritten lines as lost, and return how many there are."""
        self.seal("closed")
        lost = 0 if remove else bytes(self._batch).count(b"\n") + len(self._lines)
        if lost:
            COUNTERS.add("dropped.not_written", lost)
        self._lines.clear()
        self._batch = memoryview(b"")
        return lost


class DirectWriter(QueueBuffer):
    """Writes each line to the file by a system call on the caller's thread.

    A slow disk makes the caller slow, by design. If a write takes more than a second, or
    fails, lines go through the queue for a while, where a kill loses them; this is reported.
    """

    def __init__(self, segment: SegmentWriter, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._segment = segment
        self._slow_until = 0.0

    def append(self, line: bytes) -> bool:
        """Write one line, or queue it; return whether one of the two was done."""
        return self._write(line) or super().append(line)

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Write the lines that close the file, or queue them, however full the queue is."""
        super().append_last([line for line in lines if not self._write(line)])

    def _write(self, line: bytes) -> bool:
        if self._refusal or self.problem or not self._segment.accepts_direct_writes():
            return False
        began = perf_counter()
        try:
            wrote = os.write(self._segment.descriptor, line)
        except OSError:
            return False
        if perf_counter() - began > _SLOW_SECONDS:
            self._slow_until = monotonic() + _PAUSE_SECONDS
            self.problem = _SLOW
            report_problem(f"journal: {self._segment.path}", _SLOW)
        if wrote < len(line):
            self._segment.mark_line_broken()
            return False
        COUNTERS.add("written")
        return True

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Write the queue to the file; return whether nothing is left."""
        if monotonic() >= self._slow_until:
            self.problem = ""
        self._segment.prepare_direct_writes()
        return super().drain(write)
