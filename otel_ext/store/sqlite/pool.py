"""`Pool`: connections that read the files of a store, used again by any thread."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from otel_ext.store.sqlite.failures import store_error
from otel_ext.store.sqlite.schema import open_to_read

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Pool"]

_MOST_IDLE: Final = 4


class Pool:
    """Keeps idle connections; those of files that were deleted or replaced are closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Path, list[tuple[int, sqlite3.Connection]]] = {}

    @contextmanager
    def connection(self, path: Path) -> Generator[sqlite3.Connection | None]:
        """Lend a connection to a file of the store; None if it does not exist.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            inode = path.stat().st_ino
        except OSError:
            self._close_idle(path)
            yield None
            return
        connection = self._take(path, inode) or open_to_read(path)
        if connection is None:
            yield None
            return
        try:
            yield connection
        except sqlite3.Error as error:
            connection.close()
            raise store_error(path, error) from error
        except BaseException:
            connection.close()
            raise
        self._give_back(path, inode, connection)

    def _take(self, path: Path, inode: int) -> sqlite3.Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(path)
                if not idle:
                    return None
                known, connection = idle.pop()
            if known == inode:
                return connection
            connection.close()

    def _give_back(self, path: Path, inode: int, connection: sqlite3.Connection) -> None:
        with self._lock:
            idle = self._idle.setdefault(path, [])
            if len(idle) < _MOST_IDLE:
                idle.append((inode, connection))
                return
        connection.close()

    def _close_idle(self, path: Path) -> None:
        with self._lock:
            idle = self._idle.pop(path, [])
        for _, connection in idle:
            with suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        for path in list(self._idle):
            self._close_idle(path)
