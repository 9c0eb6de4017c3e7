"""Lets only one recovery at a time work on an incarnation, by a lock file.

A lock file is left where a recovery was killed, even in its last step.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from otel_ext.journal.files import open_folder
from otel_ext.journal.names import names_in
from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.ring_layout import RING_FOLDER, RING_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["incarnation_lock", "incarnations_with_ring"]

_SUFFIX: Final = ".lock"
_ATTEMPTS: Final = 5


@contextmanager
def incarnation_lock(folder: Path, incarnation: str) -> Generator[bool, None, None]:
    """Lock an incarnation for the block, by a file in `.blackbox/`; yields whether it is locked.

    It never waits. The kernel releases the lock when its holder dies. `flock` belongs to the
    open file, so it also keeps two threads apart.

    Raises:
        OSError: The lock file cannot be created.
    """
    if sys.platform == "win32":
        yield True
        return
    path = folder / RING_FOLDER / f"{incarnation}{_SUFFIX}"
    descriptor = _open(path)
    is_locked = False
    try:
        is_locked = _lock(descriptor, path)
        yield is_locked
    finally:
        if is_locked:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)
        with suppress(OSError):
            path.parent.rmdir()  # unless there are ring buffers in it


def incarnations_with_ring(folder: Path) -> list[str]:
    """Return the ids of incarnations with a ring buffer or a lock: they live or need recovery.

    Raises:
        OSError: The folder of ring buffers exists but cannot be read.
    """
    names = names_in(folder / RING_FOLDER, or_fail=True)
    suffixes = (RING_SUFFIX, _SUFFIX)
    found = [base_id(name.rpartition(".")[0]) for name in names if name.endswith(suffixes)]
    return list(dict.fromkeys(found))


def _open(path: Path) -> int:
    """Open the lock file, made with its folder if it is missing; return its descriptor."""
    failures = 0
    while True:
        try:
            parent = open_folder(path.parent, create=True)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                return os.open(path.name, flags, 0o600, dir_fd=parent)
            finally:
                os.close(parent)
        except FileNotFoundError:
            # Another recovery has just removed the folder, empty.
            failures += 1
            if failures == _ATTEMPTS:
                raise


def _lock(descriptor: int, path: Path) -> bool:
    """Take the lock if it is free and the file still exists: its last holder removes it first."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False
