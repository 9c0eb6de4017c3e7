"""Writes lines to a terminal or pipe without ever blocking.

A plain write to an unread pipe or a paused terminal may block forever. So the pipe or
terminal is opened a second time, as non-blocking: setting that flag on the program's own
descriptor would cause unexpected errors in all processes that share it. Lines that
cannot be written now wait in a bounded queue; when it is full, lines are dropped and
counted.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
from collections import deque
from contextlib import suppress
from threading import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, TextIO

from otel_ext.exporters.console.foreground import Terminal, identity_of
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child, check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.threads import new_lock
from otel_ext.runtime.worker import shared_worker

if TYPE_CHECKING:
    from otel_ext.runtime.threads import Lock
    from otel_ext.runtime.worker import Job

__all__ = ["StreamWriter"]

_MAX_BYTES: Final = 4 * 1024 * 1024
_ATOMIC: Final = getattr(select, "PIPE_BUF", 512)
_RETRY_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.002
_FLAGS: Final = (
    os.O_WRONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class _Outlet:
    """A second, own descriptor for the file that the program's descriptor refers to.

    Raises:
        OSError: The descriptor now refers to another file.
    """

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.identity = identity_of(status)
        self._own = -1
        self.never_waits = stat.S_ISREG(status.st_mode)
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            # Fails on other platforms, and for another user's terminal.
            with suppress(OSError):
                self._own = os.open(f"/proc/self/fd/{descriptor}", _FLAGS)
                self.never_waits = True
        if self._own < 0:
            self._own = os.dup(descriptor)
        if not self.is_there():
            raise OSError(errno.ESTALE, "the stream was replaced just now")

    def is_there(self) -> bool:
        """Whether the own descriptor is still intact; some programs close all descriptors."""
        try:
            return identity_of(os.fstat(self._own)) == self.identity
        except OSError:
            return False

    def write(self, data: bytes) -> int:
        """Write as much as possible without waiting, and return how much."""
        if not self.never_waits:
            if not self.is_ready(0):
                return 0
            data = data[:_ATOMIC]  # so much is written without waiting (pipe(7))
        try:
            return os.write(self._own, data)
        except BlockingIOError:
            return 0

    def is_ready(self, seconds: float) -> bool:
        """Wait up to `seconds` until something can be written; whether it can."""
        if not hasattr(select, "poll"):
            return True
        poller = select.poll()
        poller.register(self._own, select.POLLOUT)
        return bool(poller.poll(int(seconds * 1000)))

    def __del__(self) -> None:
        if self._own >= 0 and self.is_there():
            os.close(self._own)


class StreamWriter:
    r"""Writes lines to a text stream; never waits, never raises.

    A standard text stream is written to through its descriptor; any other, such as a
    notebook's, through its `write` method. Lines for a `Terminal` are dropped and counted
    (`console.dropped.redirected`) while it is not visible.

    Args:
        stream: Where the lines go.

    >>> import sys
    >>> StreamWriter(sys.stdout).append(b"one line\n")
    one line
    True
    """

    _busy: Lock
    _writing: int
    _lines: deque[bytes]
    _bytes: int

    def __init__(self, stream: TextIO | Terminal) -> None:
        self._stream = stream
        self._outlet: _Outlet | None = None
        self._job: Job | None = None
        self._closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def append(self, line: bytes) -> bool:
        """Queue or write one line, which ends with a newline; False if it was dropped."""
        check_process()
        if self._closed:
            return self._drop("closed")
        if self._bytes + len(line) > _MAX_BYTES:
            report_problem("console: lines are lost", "the terminal or pipe accepts no more")
            return self._drop("queue_full")
        # Two threads may lose one of two additions; an empty queue resets the sum.
        self._bytes += len(line)
        self._lines.append(line)
        self._pump()
        if self._lines and self._job is None:
            # These lines must not wait until the next one is appended.
            worker = shared_worker()
            self._job = worker.every(_RETRY_SECONDS, self._retry, "console")
            worker.ensure()
        return True

    def flush(self, timeout_millis: int = 30_000) -> bool:
        """Write the waiting lines; whether that was done in time.

        False at once inside a write of this thread: in its stream, or in a signal handler.
        """
        check_process()
        if self._writing == get_ident():
            return False
        until = monotonic() + timeout_millis / 1000
        while self._pump() or self._lines:
            remaining = until - monotonic()
            if remaining <= 0:
                return False
            outlet = self._outlet
            if outlet is None or outlet.is_ready(min(remaining, _RETRY_SECONDS)):
                sleep(_POLL_SECONDS)
        return True

    def close(self, timeout_millis: int = 500) -> None:
        """Write the waiting lines, within the timeout, and stop; the stream stays open.

        Idempotent.
        """
        if self._closed:
            return
        self._closed = True
        self.flush(timeout_millis)
        if self._job is not None:
            self._job.cancel()
        self._outlet = (
            None  # so that its reader gets the end of file when the program closes the stream
        )
        lines, self._lines = self._lines, deque()
        if lines:
            COUNTERS.add("console.dropped.not_written", len(lines))

    def _retry(self) -> None:
        """Try again; a job of the worker."""
        self._pump()

    def _drop(self, reason: str) -> bool:
        COUNTERS.add(f"console.dropped.{reason}")
        return False

    def _pump(self) -> bool:
        """Write what can be written now; True if another thread is already writing."""
        # A user's stream may itself create records: its line finds the lock taken, and
        # waits for the next round.
        rounds = len(self._lines) + 1
        while self._lines:
            if not self._busy.acquire(blocking=False):
                return True
            try:
                self._writing = get_ident()
                rounds = self._write_lines(rounds)
            finally:
                self._writing = 0
                self._busy.release()
            # A thread that found the lock taken relies on this one to check again.
            if rounds <= 0:
                return False
        self._bytes = 0
        return False

    def _write_lines(self, rounds: int) -> int:
        """Write up to `rounds` lines; return how many more may be written now."""
        while rounds > 0 and (lines := self._lines):
            rounds -= 1
            # It stays the first of the lines until it is written: `flush` waits for it.
            rest = self._write_or_drop(lines[0])
            if rest:
                lines[0] = rest
                return 0
            lines.popleft()
        return rounds

    def _write_or_drop(self, data: bytes) -> bytes:
        """Write a line, or drop it where that fails; return what is still to be written."""
        if isinstance(self._stream, Terminal) and not self._stream.is_there():
            self._outlet = None  # release the terminal, as a daemon does
            self._drop("redirected")
            return b""
        try:
            kept = self._write(data)
        except Exception as error:  # noqa: BLE001 - closed, broken, or the user's own
            self._outlet = None
            self._drop("write_failed")
            report_problem("console: lines are lost", error)
            return b""
        self._bytes -= kept
        if kept == len(data):
            COUNTERS.add("console.written")
        return data[kept:]

    def _write(self, data: bytes) -> int:
        stream = self._stream
        if isinstance(stream, Terminal):
            return self._outlet_for(stream.descriptor).write(data)
        if isinstance(stream, io.TextIOWrapper):
            try:
                descriptor = stream.fileno()
            except (io.UnsupportedOperation, AttributeError):
                pass
            else:
                return self._outlet_for(descriptor).write(data)
        stream.write(data.decode("utf-8", "replace"))
        stream.flush()
        return len(data)

    def _outlet_for(self, descriptor: int) -> _Outlet:
        """Return the outlet for `descriptor`; a new one if the program has redirected it."""
        status = os.fstat(descriptor)
        outlet = self._outlet
        if outlet is None or outlet.identity != identity_of(status) or not outlet.is_there():
            outlet = self._outlet = _Outlet(descriptor, status)
        return outlet

    def _reset(self) -> None:
        """Start again in a forked child: its parent writes the waiting lines."""
        self._busy = new_lock()
        self._writing = 0
        self._lines = deque()
        self._bytes = 0
