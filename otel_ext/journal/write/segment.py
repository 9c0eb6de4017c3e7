"""Writes lines to the files of a journal, whole lines only, and rotates the files.

One thread at a time uses a `SegmentWriter`: the worker, or the thread that flushes or
closes in its place. For a folder it creates the files of one incarnation, with a number
after each rotation. Otherwise it appends to one named file, which several processes may
share, because a line is written by one call with O_APPEND.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.errors import JournalError
from otel_ext.journal.files import (
    Target,
    can_make_files_in,
    create_exclusive,
    ends_with_newline,
    ignore_in_git,
    is_gone,
    make_folder,
    standard_descriptors_filled,
    sync_data,
    sync_folder,
)
from otel_ext.journal.names import segment_file
from otel_ext.journal.settings import JournalSettings, Sync
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["SegmentWriter"]

_FLAGS: Final = os.O_WRONLY | os.O_APPEND
_FILE_FLAGS: Final = os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_STEP: Final = 256 * 1024
_MAX_NUMBER: Final = 999_999
_CHECK_INTERVAL: Final = 1.0
# While lines are lost all the time, a new file follows no sooner than this.
_AFTER_LOSS_SECONDS: Final = 10.0
_REFUSED: Final = "dropped.queue_full"
# After these the same file may take more later, when there is room or a pipe is read.
_TRANSIENT: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR})


class SegmentWriter:
    """Writes lines to the segments of one incarnation, or to one named file.

    Args:
        target: The folder or file to write to.
        first_lines: Makes the lines at the beginning of every further segment: what a
            reader must know without the older ones.
        max_bytes: Size after which a new segment follows; 0 for never.
        max_age: Seconds after which a new segment follows; 0 for never.
        sync: When the file is synced to the disk.
        direct: Callers write to `descriptor` themselves, at any time; so its number stays
            the same from file to file as long as this object exists.
        exclusive: No other process appends to the named file, so half a line can be cut off.
    """

    def __init__(
        self,
        target: Target,
        *,
        first_lines: Callable[[], Iterable[bytes]] = tuple,
        max_bytes: int = 0,
        max_age: float = 0.0,
        sync: Sync = JournalSettings.sync,
        direct: bool = False,
        exclusive: bool = False,
    ) -> None:
        self.target = target
        self._shared = direct or (bool(target.file) and not exclusive)
        self._direct = direct
        self._parked = -1
        self.path: Path | None = None
        self.descriptor = -1
        self._first_lines = first_lines
        self._first_lines_due = False
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._sync: Sync = sync
        self._identity = (-1, -1)
        self._number = self._size = self._first_lines_end = 0
        self._refused = COUNTERS.value(_REFUSED)
        self._opened_at = self._checked_at = 0.0
        self._broken_line = self._cut_short = False
        self._unsynced = False
        self.is_regular = True

    def open(self) -> None:
        """Open the file if it is not open; OSError if its first lines cannot be written."""
        if self.descriptor < 0:
            make_folder(self.target.folder)
            with standard_descriptors_filled():
                self._adopt(self._open_file() if self.target.file else self._create_segment())
        if self._first_lines_due:
            self._write_first_lines()
        ignore_in_git(self.target.folder)

    def write(self, lines: memoryview | bytes) -> int:
        """Append whole lines; return how many bytes of them are in the file.

        The bytes counted always end with a line. Half a line is not counted and does not
        stay; the next call must pass the line again.

        Raises:
            OSError: Nothing could be written now; try again later.
        """
        self._check_file()
        self.open()
        try:
            kept = self._append(lines)
        except OSError as error:
            self._note_failure(error)
            raise
        if self._sync == "always":
            self.sync()
        return kept

    def _append(self, lines: memoryview | bytes) -> int:
        if self._broken_line:
            self._size += os.write(self.descriptor, b"\n")
            self._broken_line = False
        view = memoryview(lines)
        done = 0
        try:
            while done < len(view):
                wrote = os.write(self.descriptor, view[done : done + _STEP])
                self._size += wrote
                self._unsynced = True
                done += wrote
        except OSError:
            kept = bytes(view[:done]).rfind(b"\n") + 1
            again, self._cut_short = self._cut_short, done > 0 and not kept
            self._discard_partial_line(done - kept)
            if done == 0 or (again and not kept):
                raise
            return kept
        self._cut_short = False
        return done

    def _discard_partial_line(self, partial: int) -> None:
        """Cut off half a line at the end of the file: the next line may be another."""
        if not partial:
            return
        if not self._shared:
            with suppress(OSError):
                os.ftruncate(self.descriptor, os.fstat(self.descriptor).st_size - partial)
                self._size -= partial
                return
        # Others may append here, so the next write ends the broken line with a newline.
        self._broken_line = True

    def _note_failure(self, error: OSError) -> None:
        # A limit on the size of files: continue in a new one, unless one line is too large.
        is_line_too_large = error.errno == errno.EFBIG and self._size <= self._first_lines_end
        if error.errno not in _TRANSIENT and not is_line_too_large:
            self._close_file()

    def sync(self) -> None:
        """Sync to the disk what was written; if that fails, continue in a new file.

        A failed fsync may have dropped the pages, so another fsync of the same file could
        report success for lost data.
        """
        if not self._unsynced or self._sync == "never" or self.descriptor < 0:
            return
        self._unsynced = False
        if not self.is_regular:
            return
        try:
            sync_data(self.descriptor)
        except OSError as error:
            COUNTERS.add("journal.sync_failed")
            report_problem(f"journal: {self.path} could not be synced, a new file follows", error)
            self._close_file()

    def rotate_if_due(self) -> None:
        """Start a new segment if this one is large or old enough, or lacks dropped ends."""
        if self.target.file or self.descriptor < 0 or self._size == self._first_lines_end:
            return
        age = monotonic() - self._opened_at
        too_large = 0 < self._max_bytes <= self._size - self._first_lines_end
        too_old = 0 < self._max_age <= age
        # Only a new segment, which repeats the open spans, shows that others have ended.
        refused = COUNTERS.value(_REFUSED)
        is_short = refused != self._refused and age >= _AFTER_LOSS_SECONDS and self._max_age > 0
        # After privileges were given up no new file can be created, so this one continues.
        if (too_large or too_old or is_short) and can_make_files_in(self.target.folder):
            self._refused = refused
            self.sync()
            self._close_file()
            self.open()

    def _close_file(self) -> None:
        """Close the file; the next write opens a new one, which gets the first lines."""
        descriptor, self.descriptor = self.descriptor, -1
        self._broken_line = False
        self._first_lines_due = True
        if self._direct and self._is_ours(descriptor):
            self._parked = descriptor
        elif self._is_ours(descriptor):
            with suppress(OSError):
                os.close(descriptor)

    def allow_direct_writes(self) -> None:
        """Let callers write to `descriptor` themselves from now on, as with `direct`."""
        self._direct = self._shared = True

    def accepts_direct_writes(self) -> bool:
        """Return whether a caller, on any thread, may write to `descriptor` now."""
        return not self._first_lines_due and self._is_ours(self.descriptor)

    def prepare_direct_writes(self) -> None:
        """Open the file for callers that write themselves; start a new one when due."""
        self._check_file()
        self.open()
        size = os.fstat(self.descriptor).st_size if self.is_regular else self._size
        self._unsynced = self._unsynced or size != self._size
        self._size = size
        self.rotate_if_due()

    def mark_line_broken(self) -> None:
        """Note that a caller wrote half a line: the next write ends it with a newline."""
        self._broken_line = True

    def _check_file(self) -> None:
        """Check whether the file was closed, removed, renamed or emptied by others."""
        if self.descriptor < 0 or not self.is_regular:
            return
        status = self._status_if_ours(self.descriptor)
        if status is None:
            self.descriptor = -1  # a daemon closed all descriptors; the number may be reused
            self._close_file()
            return
        if status.st_nlink == 0 or self._was_renamed():
            self._close_file()
        elif status.st_size < self._size:
            self._size = status.st_size
            self._first_lines_end = 0
            self._first_lines_due = True

    def _is_ours(self, descriptor: int) -> bool:
        return self._status_if_ours(descriptor) is not None

    def _status_if_ours(self, descriptor: int) -> os.stat_result | None:
        try:
            status = os.fstat(descriptor)
        except OSError:
            return None
        return status if (status.st_dev, status.st_ino) == self._identity else None

    def _was_renamed(self) -> bool:
        now = monotonic()
        if now - self._checked_at < _CHECK_INTERVAL or self.path is None:
            return False
        self._checked_at = now
        try:
            status = os.lstat(self.path)
        except OSError:
            # Out of reach is not gone: the open file can still be written to.
            return is_gone(self.path)
        return (status.st_dev, status.st_ino) != self._identity

    def _create_segment(self) -> int:
        folder = self.target.folder
        while self._number <= _MAX_NUMBER:
            path = folder / segment_file(self.target.incarnation, self._number, self.target.journal)
            self._number += 1
            try:
                descriptor = create_exclusive(path, _FLAGS)
            except FileExistsError:
                continue  # an earlier segment, or a link planted by another user
            self.path = path
            if self._sync != "never":
                sync_folder(folder)
            return descriptor
        raise JournalError(f"{str(folder)!r} holds too many segments of {self.target.incarnation}")

    def _open_file(self) -> int:
        path = self.target.folder / self.target.file
        try:
            descriptor = os.open(path, _FLAGS | _FILE_FLAGS, 0o600)
        except OSError as error:
            what = "it is a link" if error.errno == errno.ELOOP else error.strerror
            raise JournalError(
                f"the file {str(path)!r} cannot be opened: {what}",
                hint="Name a file, or a folder, that this user can write to.",
                context={"path": str(path), "errno": error.errno},
            ) from error
        self.path = path
        return descriptor

    def _adopt(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if self._parked >= 0 and self._is_ours(self._parked):
            # One step of the kernel: a caller writes either to the old file or to the new one.
            os.dup2(descriptor, self._parked, inheritable=False)
            os.close(descriptor)
            descriptor = self._parked
        self._parked = -1
        self.descriptor = descriptor
        self._identity = (status.st_dev, status.st_ino)
        self.is_regular = stat.S_ISREG(status.st_mode)
        self._size = self._first_lines_end = status.st_size
        self._opened_at = self._checked_at = monotonic()
        path = self.path if self.is_regular else None
        self._broken_line = path is not None and not ends_with_newline(path)

    def _write_first_lines(self) -> None:
        try:
            self._append_all(self._first_lines())
        except OSError:
            # A segment that repeats only some of the open spans is worse than none.
            if not self.target.file and self.path is not None:
                self._close_file()
                self._number -= 1
                with suppress(OSError):
                    self.path.unlink()
            raise
        self._first_lines_end = self._size
        self._first_lines_due = False

    def write_all(self, lines: Iterable[bytes]) -> None:
        """Append all of these whole lines; OSError if some could not be written."""
        self.open()
        self._append_all(lines)

    def _append_all(self, lines: Iterable[bytes]) -> None:
        batch: list[bytes] = []
        size = 0
        for line in lines:
            batch.append(line)
            size += len(line)
            if size >= _STEP:
                self._append_batch(b"".join(batch))
                batch, size = [], 0
        self._append_batch(b"".join(batch))

    def _append_batch(self, lines: bytes) -> None:
        if self._append(lines) < len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def sync_or_fail(self) -> None:
        """Sync to the disk what was written; OSError if that fails."""
        if self.descriptor >= 0 and self.is_regular:
            sync_data(self.descriptor)
            self._unsynced = False

    def close(self) -> None:
        """Sync and close the file. Idempotent."""
        self.sync()
        self._close_file()

    def forget(self) -> None:
        """Close the parent's file in a forked child, without changing it."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0 and self._is_ours(descriptor):
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        # Only now can no caller be about to write to it.
        if self._parked >= 0 and self._is_ours(self._parked):
            with suppress(OSError):
                os.close(self._parked)
