"""Lets only one recovery at a time work on an incarnation, by a lock file."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import open_folder
from otel_ext.journal.ring_layout import RING_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["LOCK_SUFFIX", "IncarnationLock"]

LOCK_SUFFIX: Final = ".lock"


class IncarnationLock:
    """A lock file in `.blackbox/`; the kernel releases the lock when its holder dies.

    `flock` belongs to the open file, so it also keeps two threads apart.

    Args:
        folder: The folder of records.
        incarnation: Id of the incarnation to recover.
    """

    def __init__(self, folder: Path, incarnation: str) -> None:
        self._folder = folder / RING_FOLDER
        self._name = f"{incarnation}{LOCK_SUFFIX}"
        self._descriptor = -1

    def acquire(self) -> bool:
        """Take the lock without waiting; return whether that was possible.

        Raises:
            OSError: The lock file cannot be created.
        """
        if sys.platform == "win32":
            return True
        folder = open_folder(self._folder, create=True)
        try:
            return self._acquire(folder)
        finally:
            os.close(folder)

    def _acquire(self, folder: int) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._name, flags, 0o600, dir_fd=folder)
        if _lock(descriptor) and self._is_named(descriptor, folder):
            self._descriptor = descriptor
            return True
        os.close(descriptor)
        return False

    def _is_named(self, descriptor: int, folder: int) -> bool:
        """Return whether the file still exists: its last holder removes it, then releases it."""
        try:
            named = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(descriptor))

    def release(self) -> None:
        """Remove the lock file and release the lock. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        with suppress(OSError):
            self._folder.joinpath(self._name).unlink()
        os.close(descriptor)
        with suppress(OSError):
            self._folder.rmdir()  # unless there are ring buffers in it


def _lock(descriptor: int) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
