"""The ring buffer: memory that outlives a kill and takes a record without a system call.

It is a preallocated file mapped in two (or more) chunks, each by its own mapping object.
Such an object has a position, and its `write` copies a line to that position and advances
it in one step of the interpreter; on the compiled path a cursor does the same faster. So a
line is claimed and stored at once: other threads, a signal handler, a finalizer, or an
exception thrown into the thread find the whole line or none of it, without any lock.

A chunk refuses a line that does not fit by raising ValueError; the caller tries the next
chunk. So moving a chunk's position to its end seals it: the worker can write its lines,
set it to zero, and move the position back.
"""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from threading import RLock
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from otel_ext._accel import bind
from otel_ext.journal import ring_layout
from otel_ext.journal.files import create_exclusive, is_gone
from otel_ext.journal.write.chunks import HAS_GIL, cursors_in, map_chunks, store_into
from otel_ext.journal.write.reserve import reserve_blocks
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from otel_ext.journal.ring_layout import RingFacts

__all__ = ["CHUNKS", "RingBuffer", "appender"]

CHUNKS: Final = 2
_RECYCLE_BYTES: Final = 64 * 1024
_ZEROS: Final = bytes(32 * 1024)
_STEP: Final = 256 * 1024


class RingBuffer:
    """A ring of record lines that outlives the process.

    `append` may be called from anywhere at any time. All other methods are for one thread
    at a time: the worker, or the thread that closes the ring buffer.

    Args:
        descriptor: Its file, which must have all its blocks; -1 for memory without a file.
        path: The path of the file.
        facts: The constant part of its header.

    Attributes:
        on_refused: Called with a line that has no room; None to count it as dropped.
        is_in_order: Whether the last `drain` wrote, with each line, all lines before it.
    """

    __slots__ = (
        "_chunks",
        "_current",
        "_cursors",
        "_drained",
        "_guard",
        "_last_end",
        "_peak",
        "_refusal",
        "_sealed_ends",
        "_store",
        "_stores",
        "_switches",
        "facts",
        "is_in_order",
        "on_refused",
        "path",
    )

    problem = ""

    def __init__(self, descriptor: int, path: Path, facts: RingFacts) -> None:
        self.path = path
        self.facts = facts
        self._chunks = map_chunks(descriptor, facts)
        # Without an interpreter lock two writes could use the same position. RLock, since a
        # signal handler may interrupt the thread that holds it.
        self._guard: AbstractContextManager[object] = nullcontext() if HAS_GIL else RLock()
        self._cursors = cursors_in(self._chunks)
        self._stores = [store_into(cursor, self._guard) for cursor in self._cursors]
        self._drained = [ring_layout.chunk_start(index) for index in range(len(self._chunks))]
        self._sealed_ends: list[int | None] = [None] * len(self._chunks)
        self._current = self._switches = self._peak = 0
        self._last_end = ring_layout.LAST_LINES_AT
        self._refusal = "queue_full"
        self.is_in_order = True
        self.on_refused: Callable[[bytes], bool] | None = None
        header = self._chunks[0]
        header[: ring_layout.STAMP_AT] = ring_layout.pack_facts(facts)
        self._set_word(ring_layout.STEADY_STAMP_AT, monotonic_ns())
        for index, start in enumerate(self._drained):
            self._set_word(ring_layout.DRAINED_AT + 8 * index, start)
        for cursor, start in zip(self._cursors, self._drained, strict=True):
            cursor.seek(start)
        self._store: Callable[[bytes], object] = self._stores[0]

    @classmethod
    def create(cls, folder: int, path: Path, facts: RingFacts) -> RingBuffer:
        """Create the file `path` in an open folder, with all blocks reserved, as a ring buffer.

        Raises:
            OSError: No room, a limit, a name that is taken, or no memory to map.
        """
        descriptor = create_exclusive(path.name, os.O_RDWR, dir_fd=folder)
        try:
            reserve_blocks(descriptor, facts.size)
            return cls(descriptor, path, facts)
        except BaseException:
            with suppress(OSError):
                os.unlink(path.name, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)

    def append(self, line: bytes) -> bool:
        """Store one line; return whether there was room. Runs on the caller's thread.

        No system call and no lock. When this returns true, the line survives SIGKILL.
        A refused line is counted under `dropped.`.

        Args:
            line: A whole record: JSON without NUL bytes, newline at its end.
        """
        try:
            self._store(line)
        except ValueError:
            return self._append_elsewhere(line)
        return True

    def _append_elsewhere(self, line: bytes) -> bool:
        if self._store_anywhere(line):
            return True
        if self.on_refused is not None:
            return self.on_refused(line)
        COUNTERS.add(f"dropped.{self._refusal}")
        return False

    def append_last(self, lines: Iterable[bytes]) -> None:
        """Store the lines that close the file, in the header if the chunks are full."""
        kept = b""
        for line in lines:
            if self._store_anywhere(line):
                continue
            if len(kept) + len(line) > ring_layout.HEADER_SIZE - ring_layout.LAST_LINES_AT:
                COUNTERS.add(f"dropped.{self._refusal}")
            else:
                kept += line
        if kept:
            self._store_in_header(kept)

    def _store_in_header(self, lines: bytes) -> None:
        size = ring_layout.HEADER_SIZE - ring_layout.LAST_LINES_AT
        self._chunks[0][ring_layout.LAST_LINES_AT : ring_layout.HEADER_SIZE] = lines.ljust(
            size, b"\0"
        )
        self._last_end = ring_layout.LAST_LINES_AT + len(lines)

    def _store_anywhere(self, line: bytes) -> bool:
        count = len(self._chunks)
        for step in range(count):
            index = (self._current + step) % count
            try:
                self._stores[index](line)
            except ValueError:
                continue
            self._switches += index != self._current
            self._current = index
            self._store = self._stores[index]
            return True
        return False

    @property
    def is_lost(self) -> bool:
        """Whether the file was removed, so that a kill would lose its lines."""
        return is_gone(self.path)

    @property
    def pending(self) -> int:
        """How many bytes wait for the worker."""
        waiting = sum(self._end(index) - at for index, at in enumerate(self._drained))
        return waiting + self._last_end - ring_layout.LAST_LINES_AT

    @property
    def peak(self) -> int:
        """The largest part of the ring buffer that has been in use, in per cent."""
        self._note_peak()
        return min(100 * self._peak // (self.facts.size - ring_layout.HEADER_SIZE), 100)

    def _note_peak(self) -> None:
        # Room becomes free only when a chunk is recycled, so use peaks before that.
        used = sum(self._end(n) - ring_layout.chunk_start(n) for n in range(len(self._chunks)))
        self._peak = max(self._peak, used)

    def drain(self, write: Callable[[memoryview], int]) -> bool:
        """Write what waits to the segment; return whether nothing is left.

        Args:
            write: Takes whole lines and returns how many bytes of them it wrote; if it
                raises OSError, the rest stays in the ring buffer.
        """
        count, switches, current = len(self._chunks), self._switches, self._current
        # The current chunk last: the lines in the others are older.
        for step in range(1, count + 1):
            if not self._drain_chunk((current + step) % count, write):
                return False
        # A second switch may lead from a drained chunk back to one that is not drained yet.
        self.is_in_order = self._switches - switches <= 1
        return self._drain_last(write)

    def _drain_last(self, write: Callable[[memoryview], int]) -> bool:
        lines = self._chunks[0][ring_layout.LAST_LINES_AT : self._last_end]
        if lines:
            self._store_in_header(lines[write(memoryview(lines)) :])
        return self._last_end == ring_layout.LAST_LINES_AT

    def _drain_chunk(self, index: int, write: Callable[[memoryview], int]) -> bool:
        if not self._write_out(index, write):
            return False
        start = ring_layout.chunk_start(index)
        used = self._drained[index] - start
        if index == self._current:
            if used < _RECYCLE_BYTES:
                return True
            # Callers switch to the next chunk before this one is sealed.
            self._switches += 1
            self._current = (index + 1) % len(self._chunks)
            self._store = self._stores[self._current]
        if used == 0:
            return True
        self._seal(index)
        if not self._write_out(index, write):
            return False
        self._recycle(index)
        return True

    def _write_out(self, index: int, write: Callable[[memoryview], int]) -> bool:
        end = self._end(index)
        with memoryview(self._chunks[index]) as view:
            while (at := self._drained[index]) < end:
                with view[at : self._line_end(index, at, end)] as lines:
                    kept = write(lines)
                self._drained[index] = at + kept
                self._set_word(ring_layout.DRAINED_AT + 8 * index, at + kept)
                if kept == 0:
                    return False
        return True

    def _line_end(self, index: int, at: int, end: int) -> int:
        """Return the end of a line not far behind `at`, where to cut."""
        if end - at <= _STEP:
            return end
        chunk = self._chunks[index]
        found = chunk.rfind(b"\n", at, at + _STEP)
        if found < 0:
            found = chunk.find(b"\n", at + _STEP, end)
        return end if found < 0 else found + 1

    def _seal(self, index: int) -> None:
        if self._sealed_ends[index] is not None:
            return
        cursor = self._cursors[index]
        with self._guard:
            seen = cursor.tell()
            cursor.seek(self.facts.chunk_size)
        # Lines stored between the two steps follow `seen` and end at a NUL.
        end = self._chunks[index].find(b"\0", seen)
        self._sealed_ends[index] = self.facts.chunk_size if end < 0 else end

    def _recycle(self, index: int) -> None:
        self._note_peak()
        chunk = self._chunks[index]
        start, end = ring_layout.chunk_start(index), self._end(index)
        # In small pieces, from the end, so that a reader meanwhile finds no holes.
        for upper in range(end, start, -len(_ZEROS)):
            lower = max(start, upper - len(_ZEROS))
            chunk[lower:upper] = _ZEROS[: upper - lower]
        self._drained[index] = start
        self._set_word(ring_layout.DRAINED_AT + 8 * index, start)
        self._sealed_ends[index] = None
        if self._refusal == "queue_full":
            self._cursors[index].seek(start)

    def stamp(self, now_ns: int, last_seq: int, dropped: int = 0) -> None:
        """Record in the header that the worker lives, with the counts so far."""
        self._set_word(ring_layout.STAMP_AT, now_ns)
        self._set_word(ring_layout.STEADY_STAMP_AT, monotonic_ns())
        self._set_word(ring_layout.LAST_SEQ_AT, last_seq)
        self._set_word(ring_layout.DROPPED_AT, dropped)

    def serve_request(self, on_request: Callable[[], object]) -> None:
        """Call `on_request` if another process has requested the open spans' location."""
        request = self._word(ring_layout.REQUEST_AT)
        if request == self._word(ring_layout.ANSWER_AT):
            return
        try:
            on_request()
        except Exception as error:  # noqa: BLE001 - draining must go on
            report_problem("journal: a request from outside", error)
        self._set_word(ring_layout.ANSWER_AT, request)

    def seal(self, reason: str) -> None:
        """Take no more lines, and count them under `dropped.REASON`; stored ones can be drained."""
        self._refusal = reason
        for index in range(len(self._chunks)):
            self._seal(index)

    def abandon(self) -> None:
        """Refuse all lines in a forked child: the ring buffer belongs to its parent.

        It only moves positions, so that an at-fork hook may call it.
        """
        self._refusal = "forked"
        for cursor in self._cursors:
            cursor.seek(self.facts.chunk_size)

    def close(self, *, remove: bool) -> int:
        """Release a sealed ring buffer; mark it closed and delete its file if it was drained.

        The memory stays mapped as long as this object: a caller may be about to use it.
        """
        if remove:
            self._set_word(ring_layout.EXIT_MARK_AT, 1)
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self.path.parent.rmdir()  # unless other ring buffers are in it
        return 0  # no line of a ring buffer is lost

    def _end(self, index: int) -> int:
        sealed = self._sealed_ends[index]
        return self._cursors[index].tell() if sealed is None else sealed

    def _word(self, at: int) -> int:
        value: int = ring_layout.WORD.unpack_from(self._chunks[0], at)[0]
        return value

    def _set_word(self, at: int, value: int) -> None:
        ring_layout.WORD.pack_into(self._chunks[0], at, value)


def appender(ring: RingBuffer) -> Callable[[bytes], bool]:
    """Return `ring.append`: compiled if that was built, else the method."""
    return bind("bind_append", ring.append, ring)
