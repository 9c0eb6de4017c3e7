"""Lets only one process at a time write a store."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from otel_ext.errors import StoreError
from otel_ext.store.sqlite.schema import open_private

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["WriterLock"]

_FILE: Final = "writer.lock"


class WriterLock:
    """Holds the lock of a store until it is closed, or until the process ends, however it ends.

    Args:
        folder: The folder of the store.

    Raises:
        StoreError: Another process has the lock, or its file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._descriptor = open_private(self._path)
        try:
            if sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StoreError(
                f"{folder}: another process writes this store",
                hint="Stop the other otel-ext serve or rebuild of this folder first.",
                is_temporary=True,
            ) from error

    def is_in_place(self) -> bool:
        """Return whether the file of the lock is still there: without it others can write, too."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
