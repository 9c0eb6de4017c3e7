"""The journal: takes lines from callers, and writes them to the file.

::

    append ─► buffer (ring buffer | queue | the file itself) ─ drain, by the worker ─► segment

Nothing is created before the first line comes. A forked child makes a ring buffer and a
segment of its own. A failed write is tried again, at least every second, while lines wait.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from otel_ext.journal.liveness import STAMP_SECONDS
from otel_ext.journal.outputs import Output
from otel_ext.journal.recovery.housekeeping import Housekeeper
from otel_ext.journal.settings import JournalSettings
from otel_ext.journal.write.last_lines import LastLines
from otel_ext.journal.write.opening import (
    JournalState,
    Mode,
    OpenJournal,
    make_lines,
    open_journal,
    release_journal_number,
)
from otel_ext.journal.write.ring_buffer import RingBuffer, appender
from otel_ext.runtime.backoff import Backoff
from otel_ext.runtime.counters import BUFFER_PEAK, COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.health import HealthCell
from otel_ext.runtime.threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_ext.journal.write.opening import LineBuffer
    from otel_ext.runtime.worker import Job, Worker

__all__ = ["Journal"]

_DRAIN_SECONDS: Final = 0.05
_OPEN_WAIT_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.002
# One part in so many of the ring buffer may wait when a caller brings many lines at once.
_ROOM: Final = 4
_MAX_EARLY: Final = 10_000


class Journal:
    r"""Writes the lines of one incarnation to its file; a forked child starts its own.

    Args:
        path: A folder (one file per incarnation), or a file if its name ends in `.jsonl`
            or `.json`, or if it exists and is not a folder.
        settings: How lines are kept.
        first_lines: Makes the lines that begin every file: what a reader must know without
            the older files. Called on the thread that opens or rotates.
        last_lines: Makes the lines that close the file, as of this moment; none if those
            written last are still correct.
        worker: Calls `drain` on its thread; None if the owner calls it.
        on_request: Records where the open spans are; called on the worker's thread when
            another process asks for it through the ring buffer.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> journal = Journal(folder)
    >>> list(folder.iterdir()), journal.append(b'{"n":1}\\n'), journal.close()
    ([], True, True)
    >>> [file.read_text() for file in folder.glob("*.jsonl")]
    ['{"n":1}\\n']
    """

    __slots__ = ("__dict__", "__weakref__", "append")  # `append` is read at its offset
    append: Callable[[bytes], bool]

    def __init__(
        self,
        path: Path,
        settings: JournalSettings | None = None,
        *,
        first_lines: Callable[[], Iterable[bytes]] = tuple,
        last_lines: Callable[[], Iterable[bytes]] = tuple,
        worker: Worker | None = None,
        on_request: Callable[[], object] | None = None,
    ) -> None:
        # A daemon changes its working directory after this.
        self.path = path.absolute()
        self._output = Output.declared(self.path)
        self.settings = settings or JournalSettings()
        self._first_lines = first_lines
        self._last_lines = last_lines
        self._worker = worker
        self._on_request = on_request
        self._job: Job | None = None
        self._cell = HealthCell("journal", "nothing recorded yet")
        # What closes the descriptors of a forked child's parent.
        self._inherited: list[Callable[[], None]] = []
        self._reset()
        after_fork_in_child(self._after_fork)

    def _reset(self) -> None:
        self._opened: OpenJournal | None = None
        self._opening = new_lock()
        self._opener = 0
        self._draining = new_lock()
        self._drainer = 0
        self._early: list[bytes] = []
        self._drains = 0
        self._last_complete_drain = 0
        self._backoff = Backoff(initial_interval=0.1, max_interval=STAMP_SECONDS)
        self._next_tick = 0.0
        self._closing = self._finished = self._drained = self._unfinished = False
        self._housekeeper = Housekeeper(self.settings)
        self._last = LastLines(self._last_lines)
        self.append = self._append_first

    def _after_fork(self) -> None:
        # The child must not change what belongs to its parent; only objects are swapped.
        opened, closing, last = self._opened, self._closing, self._last
        self._reset()
        if opened is not None:
            opened.buffer.abandon()
            self._inherited += [opened.segment.forget, last.reserve.forget]
        if closing:
            self._closing = self._finished = True
            self.append = self._append_closed

    def _append_first(self, line: bytes) -> bool:
        """Open the journal, then take the line."""
        if self._opener == threading.get_ident():
            return self._append_early(line)  # a signal handler or finalizer while it opens
        if not self._opening.acquire(timeout=_OPEN_WAIT_SECONDS):
            return self._append_early(line)
        try:
            self._opener = threading.get_ident()
            if self._opened is None and not self._closing:
                self._open()
        finally:
            self._opener = 0
            self._opening.release()
        return self.append(line) if self._opened is not None else self._append_closed(line)

    def _append_early(self, line: bytes) -> bool:
        opened = self._opened
        if opened is not None:
            return opened.buffer.append(line)
        if len(self._early) >= _MAX_EARLY:
            COUNTERS.add("dropped.queue_full")
            return False
        self._early.append(line)
        return True

    def _append_closed(self, line: bytes) -> bool:
        COUNTERS.add("dropped.closed")
        return False

    def _open(self) -> None:
        while self._inherited:
            self._inherited.pop()()
        opened = open_journal(self.path, self.settings, self._first_lines)
        for line in make_lines(self._first_lines):
            opened.buffer.append(line)
        self._use(opened)
        early, self._early = self._early, []
        for line in early:
            opened.buffer.append(line)
        if opened.mode == "write":
            self._last.reserve_room(opened)  # before callers fill the disk
        self._report_mode(opened)
        if self._worker is not None:
            if self._job is None:
                self._job = self._worker.every(_DRAIN_SECONDS, self.drain, "journal")
            self._worker.ensure()
            if isinstance(opened.buffer, RingBuffer) and not self._worker.is_alive:
                opened.buffer.on_refused = self._append_to_full

    def _use(self, opened: OpenJournal) -> None:
        """Let callers append to the buffer of `opened`."""
        self._opened = opened
        self.append = self._append_closed if self._closing else self._append_to(opened.buffer)

    def _append_to(self, buffer: LineBuffer) -> Callable[[bytes], bool]:
        return appender(buffer) if isinstance(buffer, RingBuffer) else buffer.append

    def _append_to_full(self, line: bytes) -> bool:
        """Drain the ring buffer, then take the line, since no worker thread can be started."""
        opened = self._opened
        if opened is None or self._closing or not isinstance(opened.buffer, RingBuffer):
            return self._append_closed(line)
        opened.buffer.on_refused = None  # if there is still no room, the line is counted
        self.drain(0.0)
        taken = opened.buffer.append(line)
        opened.buffer.on_refused = self._append_to_full
        return taken

    def _report_mode(self, opened: OpenJournal) -> None:
        problem = opened.reason or opened.buffer.problem
        if self._backoff.problem:
            self._cell.failed(f"{opened.mode}: {self._backoff.problem}")
        elif problem:
            self._cell.degraded(f"{opened.mode}: {problem}")
        else:
            self._cell.healthy(opened.mode)

    def drain(self, timeout: float = 5.0) -> bool:
        """Write what waits to the file, and do what is due; the worker's job.

        Waits `timeout` seconds for another thread that drains; returns whether nothing is left.
        """
        if self._drainer == threading.get_ident():
            return False  # a signal handler that interrupted draining
        if not self._draining.acquire(timeout=max(0.0, timeout)):
            return False
        try:
            self._drainer = threading.get_ident()
            return self._drain_once()
        finally:
            self._drainer = 0
            self._draining.release()

    def _drain_once(self) -> bool:
        opened = self._opened
        if opened is None or self._drained:
            return True
        self._drains = number = self._drains + 1
        self._answer_request(opened)
        now = monotonic()
        if not self._backoff.allows(now):
            self._tick(opened, now)
            return False
        # Read once: a drain that began before `close` may have missed a line.
        closing = self._closing
        COUNTERS.raise_to(BUFFER_PEAK, opened.buffer.peak)
        try:
            if closing:
                opened.buffer.seal("closed")
            if now >= self._next_tick:
                self._last.reserve_room(opened)
            complete = self._drain_buffer(opened)
        except OSError as error:
            self._note_failure(opened, error)
            complete = False
        else:
            if self._backoff.reset():
                self._report_mode(opened)
        opened = self._opened or opened
        self._tick(opened, now)
        if complete:
            if closing:
                self._finish(opened)
            # Last: a thread that waits for it may then remove what is left.
            self._last_complete_drain = number
        return complete

    def _answer_request(self, opened: OpenJournal) -> None:
        if self._on_request is not None and isinstance(opened.buffer, RingBuffer):
            opened.buffer.serve_request(self._on_request)

    def _drain_buffer(self, opened: OpenJournal) -> bool:
        return opened.drain(rotate=not self._closing)

    def _note_failure(self, opened: OpenJournal, error: OSError) -> None:
        if not self._backoff.failures:
            report_problem(f"journal: {opened.segment.path or self.path} cannot be written", error)
        self._backoff.failed(monotonic(), str(error))
        self._report_mode(opened)

    def _tick(self, opened: OpenJournal, now: float) -> None:
        if not self._closing:
            self._housekeeper.run(opened.segment, now)
        if now < self._next_tick:
            return
        self._next_tick = now + STAMP_SECONDS
        opened.stamp()
        opened.segment.sync()
        if opened.buffer.is_lost and not (self._closing or self._backoff.problem):
            opened = self._replace_buffer(opened)
        self._report_mode(opened)

    def _replace_buffer(self, lost: OpenJournal) -> OpenJournal:
        """Create another ring buffer after the old one, or its whole folder, was removed."""
        journal = lost.segment.target.journal
        fresh = open_journal(self.path, self.settings, self._first_lines, journal=journal)
        opened = fresh._replace(segment=lost.segment)
        with suppress(OSError):
            self._hand_over(lost, opened)
        return opened

    def _hand_over(self, old: OpenJournal, new: OpenJournal) -> bool:
        """Let callers append to another buffer; return whether the old one is drained."""
        self._use(new)
        if isinstance(old.buffer, RingBuffer):
            old.buffer.on_refused = self.append
        old.buffer.seal("closed")
        return old.drain(rotate=False)

    def flush(self, timeout_millis: int = 30_000) -> bool:
        """Write all lines taken so far to the file; return whether that was done in time.

        The worker writes, so a disk that hangs does not block the caller. Never raises.
        """
        deadline = monotonic() + timeout_millis / 1000
        return self._wait_for_drain(deadline) if self._opened is not None else True

    def _wait_for_drain(self, deadline: float) -> bool:
        wanted = self._drains + 1
        if not self._wake_worker():
            return self.drain(deadline - monotonic())
        while self._last_complete_drain < wanted and not self._finished:
            if monotonic() >= deadline:
                return False
            sleep(_POLL_SECONDS)
        return True

    def _wake_worker(self) -> bool:
        """Wake the worker; false if it cannot run or this is its own thread."""
        self._backoff.retry_now()
        worker, job = self._worker, self._job
        if worker is None or job is None or self._drainer == threading.get_ident():
            return False
        worker.ensure()
        job.wake()
        return worker.is_alive

    def has_room(self, until: float) -> bool:
        """Wait until most of the buffer is free; false if it is not by `until` (monotonic)."""
        limit = self.settings.ring_size // _ROOM
        while (opened := self._opened) is not None and opened.buffer.pending > limit:
            if monotonic() >= until:
                return False
            if self._wake_worker():
                sleep(_POLL_SECONDS)
            elif not self.drain(until - monotonic()):
                return False
        return True

    def append_last(self) -> None:
        """Append the lines that close the file, in reserved room; `close` may make others."""
        if (opened := self._opened) is not None:
            opened.buffer.append_last(make_lines(self._last_lines))

    def close(self, timeout: float = 2.0, *, unfinished: bool = False) -> bool:
        """Write what waits and stop; a drained ring buffer is removed. Idempotent.

        Args:
            timeout: Seconds to write what waits. The lines that it leaves stay in the ring
                buffer, for `recover`.
            unfinished: Spans are left for `recover` to end. A segment's last line has their
                number; in a shared file `recover` finds them by the ring buffer, which stays.

        Returns:
            Whether all lines are in the file.
        """
        deadline = monotonic() + timeout
        self._unfinished = unfinished
        self._closing = True
        self.append = self._append_closed
        opened = self._opened
        if opened is None or self._finished:
            self._finished = True
            return True
        done = self._wait_for_drain(deadline)
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
        if not self._finished:
            opened.stamp()  # only the ring buffer, which stays, has the count of dropped records
            self._last.give_up(opened, self._draining, self._backoff.problem)
            self._finished = True
        self._cell.healthy("closed")
        return done

    def _finish(self, opened: OpenJournal) -> None:
        """Close the file, then remove the ring buffer, whose lines are all in the file."""
        self._drained = True  # the worker may come again, and would begin a new file
        self._last.reserve.release()
        opened.segment.close()
        target = opened.segment.target
        opened.buffer.close(remove=not (self._unfinished and target.file))
        if not self._unfinished:
            release_journal_number(target.folder, target.incarnation, target.journal)
        self._finished = True

    def state(self) -> JournalState:
        """Return the current state."""
        opened = self._opened
        if opened is None:
            return JournalState("closed" if self._closing else "unopened", "", None, 0, "")
        mode: Mode = "closed" if self._finished else opened.mode
        problem = self._backoff.problem or opened.buffer.problem
        path, pending = opened.segment.path, opened.buffer.pending
        return JournalState(mode, opened.reason, path, pending, problem)
