"""Where records wait for the worker: the ring buffer, a queue in memory, or the file itself.

All have the face of `LineBuffer`. What `append` refuses it has counted.
"""

from __future__ import annotations

import os
from collections import deque
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_ext.journal.write.segment import SegmentWriter

__all__ = ["DirectWriter", "LineBuffer", "QueueBuffer"]

_STEP: Final = 256 * 1024
_SLOW_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 30.0
_SLOW: Final = "a write took more than 1 s, so records wait in memory for 30 s"


class LineBuffer(Protocol):
    """Where lines wait until the worker has them in the file."""

    def append(self, line: bytes) -> bool:
        """Take one line; whether there was room. For any thread at any time."""
        ...

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Take the lines that close the file, behind all others, however full it is."""
        ...

    @property
    def problem(self) -> str:
        """Why it works worse than it should; empty if it does not."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether what it promised no longer holds, so that another must take its place."""
        ...

    @property
    def pending(self) -> int:
        """How many bytes wait for the worker."""
        ...

    @property
    def peak(self) -> int:
        """The fullest that it has been, in per cent."""
        ...

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Bring what waits to the file; whether nothing was left of it."""
        ...

    def stamp(self, now_ns: int, last_seq: int, dropped: int = 0) -> None:
        """Leave a sign of life, where there is a place for it."""
        ...

    def seal(self, reason: str) -> None:
        """Take no more lines; later ones are counted under `dropped.REASON`."""
        ...

    def abandon(self) -> None:
        """In a forked child: leave alone what is the parent's."""
        ...

    def close(self, *, remove: bool) -> int:
        """Let go of everything, drained or not, and return how many lines are lost with it."""
        ...


class QueueBuffer:
    """Lines in the process's own memory, bounded in bytes; a kill loses them.

    Args:
        max_bytes: Bytes that may wait; a line beyond them is refused.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._peak = 0
        self._batch = memoryview(b"")
        self._refusal = ""

    def append(self, line: bytes) -> bool:
        """Take one line; whether there was room."""
        size = self._bytes + len(line)
        if size > self._max_bytes or self._refusal:
            COUNTERS.add(f"dropped.{self._refusal or 'queue_full'}")
            return False
        # Two threads may lose one of two additions; the worker counts anew.
        self._bytes = size
        self._lines.append(line)
        return True

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Take the lines that close the file, behind all others, however full it is."""
        if not self._refusal:
            self._lines.extend(lines)
            self._bytes = self._count()

    @property
    def problem(self) -> str:
        """Return nothing: the queue works as it should."""
        return ""

    @property
    def is_lost(self) -> bool:
        """Return false: memory is there as long as the process."""
        return False

    @property
    def pending(self) -> int:
        """How many bytes wait for the worker, about."""
        return self._bytes if self._lines or self._batch else 0

    @property
    def peak(self) -> int:
        """The fullest that it has been, in per cent."""
        self._peak = max(self._peak, self._bytes)
        return min(100 * self._peak // self._max_bytes, 100)

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Bring what waits to the file; whether nothing was left of it."""
        self._peak = max(self._peak, self._bytes)  # from here on it is less
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
        """Do nothing: memory is no place for a sign of life."""

    def seal(self, reason: str) -> None:
        """Take no more lines; later ones are counted under `dropped.REASON`."""
        self._refusal = reason

    def abandon(self) -> None:
        """In a forked child: leave to the parent what is the parent's."""
        self._refusal = "forked"

    def close(self, *, remove: bool) -> int:
        """Count as lost what was not brought out, and return how many lines that is."""
        self.seal("closed")
        lost = 0 if remove else bytes(self._batch).count(b"\n") + len(self._lines)
        if lost:
            COUNTERS.add("dropped.not_written", lost)
        self._lines.clear()
        self._batch = memoryview(b"")
        return lost


class DirectWriter:
    """The file itself: a system call for each line, on the caller's thread.

    A slow disk makes the caller slow: that is the promise. Where a write takes more
    than a second, or fails, lines go through a queue for a while. The promise is
    weaker then, so it is said.

    Args:
        segment: The file.
        max_bytes: Bytes that may wait in the queue.
    """

    def __init__(self, segment: SegmentWriter, max_bytes: int) -> None:
        self._segment = segment
        self._queue = QueueBuffer(max_bytes)
        self._pause_until = 0.0
        self._refusal = ""

    @property
    def problem(self) -> str:
        """Why lines go through the queue; empty while they do not."""
        return _SLOW if self._pause_until else ""

    @property
    def is_lost(self) -> bool:
        """Return false: a file that was taken away is noticed by its writer."""
        return False

    def append(self, line: bytes) -> bool:
        """Write one line, or queue it; whether one of the two was done."""
        return self._write(line) or self._queue.append(line)

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Write the lines that close the file, or queue them, however full the queue is."""
        self._queue.append_last([line for line in lines if not self._write(line)])

    def _write(self, line: bytes) -> bool:
        if self._refusal or self._pause_until or not self._segment.accepts_direct_writes():
            return False
        began = perf_counter()
        try:
            wrote = os.write(self._segment.descriptor, line)
        except OSError:
            return False
        if perf_counter() - began > _SLOW_SECONDS:
            self._note_slow()
        if wrote < len(line):
            self._segment.mark_line_broken()
            return False
        COUNTERS.add("written")
        return True

    def _note_slow(self) -> None:
        self._pause_until = monotonic() + _PAUSE_SECONDS
        report_problem(f"journal: {self._segment.path}", _SLOW)

    @property
    def pending(self) -> int:
        """How many bytes wait for the worker."""
        return self._queue.pending

    @property
    def peak(self) -> int:
        """The fullest that the queue has been, in per cent."""
        return self._queue.peak

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Bring the queue to the file; whether nothing was left of it."""
        if self._pause_until and monotonic() >= self._pause_until:
            self._pause_until = 0.0
        self._segment.prepare_direct_writes()
        return self._queue.drain(write)

    def stamp(self, now_ns: int, last_seq: int, dropped: int = 0) -> None:
        """Do nothing: the file's own time tells when it was last written."""

    def seal(self, reason: str) -> None:
        """Take no more lines; later ones are counted under `dropped.REASON`."""
        self._refusal = reason
        self._queue.seal(reason)

    def abandon(self) -> None:
        """In a forked child: leave to the parent what is the parent's."""
        self._refusal = "forked"
        self._queue.abandon()

    def close(self, *, remove: bool) -> int:
        """Count as lost what was not brought out, and return how many lines that is."""
        self._refusal = "closed"
        return self._queue.close(remove=remove)
