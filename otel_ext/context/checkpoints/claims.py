"""Lets one attempt of an operation run at a time, by a lock file in the folder of records.

The lock is a POSIX record lock: the kernel releases it when the process dies, and a forked
child does not inherit it. Such a lock does not keep the threads of one process apart, so
the process also remembers what it has claimed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.errors import JournalError
from otel_ext.journal.files import make_folder, open_folder
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["Claims"]

_FOLDER: Final = ".checkpoints"
_ATTEMPTS: Final = 8


class Claims:
    """The operations that this process has claimed; a forked child has none.

    >>> import pathlib, tempfile
    >>> claims, folder = Claims(), pathlib.Path(tempfile.mkdtemp())
    >>> claims.take("import", folder), claims.take("import", folder)
    (True, False)
    >>> claims.release("import")
    >>> claims.take("import", folder)
    True
    >>> claims.release("import")
    """

    def __init__(self) -> None:
        self._taken: dict[str, _Claim] = {}
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        # The lock files stay open in the child, which has no effect on the locks.
        self._taken = {}

    def take(self, name: str, folder: Path | None) -> bool:
        """Claim an operation; return whether it was free. It never waits.

        Args:
            name: The operation's name.
            folder: The folder of records; None if nothing is recorded.
        """
        mine = _Claim()
        try:
            # One step: of two threads one gets it.
            if self._taken.setdefault(name, mine) is not mine:
                return False
            return self._lock(name, mine, folder)
        except BaseException:  # such as a Ctrl-C
            if self._taken.get(name) is mine:
                self.release(name)
            raise

    def _lock(self, name: str, mine: _Claim, folder: Path | None) -> bool:
        """Keep other processes from an operation; return whether none of them has it."""
        if folder is None or sys.platform == "win32":
            return True
        digest = hashlib.sha256(name.encode()).hexdigest()
        mine.path = folder / _FOLDER / f"{digest[:32]}.lock"
        try:
            mine.descriptor = _open_locked(mine.path)
        except (OSError, JournalError) as error:
            report_problem(f"resume({name!r}): no lock keeps other processes from it", error)
            return True
        if mine.descriptor < 0:
            self._taken.pop(name, None)
            return False
        return True

    def release(self, name: str) -> None:
        """Give an operation back."""
        claim = self._taken.get(name)
        if claim is None:
            return
        try:
            if claim.path is not None and claim.descriptor >= 0:
                _unlock(claim.path, claim.descriptor)
        finally:
            # Last: closing would end the lock of a claim that was made meanwhile.
            self._taken.pop(name, None)


class _Claim:
    """A claim, and its open lock file if there is one."""

    path: Path | None = None
    descriptor = -1


def _unlock(path: Path, descriptor: int) -> None:
    """Remove and close a lock file."""
    try:
        with suppress(OSError):
            path.unlink()  # while it is locked: the next holder finds it gone
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Open and lock the file, made if it is missing; -1 if another process has locked it.

    Raises:
        OSError: It cannot be created or locked.
    """
    make_folder(path.parent.parent)
    for _ in range(_ATTEMPTS):
        parent = open_folder(path.parent, create=True)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(path.name, flags, 0o600, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return -1
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has removed it meanwhile
    return -1


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
