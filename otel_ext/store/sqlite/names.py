"""The names for which numbers stand in rows: of operations, and ids and services of processes."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

import orjson

from otel_ext.observe.process_names import ProcessName
from otel_ext.record.model import META_KEY
from otel_ext.search.found import holds
from otel_ext.store.sqlite.rows import Operation
from otel_ext.store.sqlite.schema import COMMON_FILE, mark_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from otel_ext.search.nodes import Test
    from otel_ext.store.sqlite.pool import Pool

__all__ = ["OperationNames", "ProcessNames"]

_OPERATIONS: Final = (
    "select number, name, kind, file, line, function from operation where number > ?"
)


class OperationNames:
    """Reads the operations of one day when they are first asked for; they never change."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[int, Operation] = {}

    def read(self, connection: sqlite3.Connection) -> Mapping[int, Operation]:
        """Return all operations, by their numbers.

        Args:
            connection: Of the day.
        """
        with self._lock:
            rows = connection.execute(_OPERATIONS, (len(self._known),))
            self._known.update((row[0], Operation(row[1], row[2], row[3:])) for row in rows)
            return self._known


class ProcessNames:
    """Reads processes when they are first asked for.

    Args:
        folder: The folder of the store.
        pool: Lends connections.
    """

    def __init__(self, folder: Path, pool: Pool) -> None:
        self._path = folder / COMMON_FILE
        self._pool = pool
        self._lock = Lock()
        self._mark = 0
        self._ids: dict[int, str] = {}
        self._services: dict[int, str] = {}

    def id_of(self, number: int) -> str:
        """Return the id of a process; empty if the store has been deleted meanwhile."""
        found = self._ids.get(number)
        if found is None:
            self.read()
            found = self._ids.get(number, "")
        return found

    def with_service(self, test: Test) -> list[int]:
        """Return the numbers of the processes whose service passes a test."""
        self.read()
        with self._lock:
            return [number for number, service in self._services.items() if holds(test, service)]

    def numbers_where(self, is_wanted: Callable[[str], bool]) -> list[int]:
        """Return the numbers of the processes whose id passes a test."""
        self.read()
        with self._lock:
            return [number for number, name in self._ids.items() if is_wanted(name)]

    def check(self) -> None:
        """Forget all names if the store has been made anew."""
        with self._pool.connection(self._path) as connection, self._lock:
            mark = 0 if connection is None else mark_of(connection)
            if mark != self._mark:
                self._mark, self._ids, self._services = mark, {}, {}

    def read(self) -> None:
        """Read the processes that are new, and what is known now of the others."""
        with self._pool.connection(self._path) as connection, self._lock:
            if connection is not None:
                self._read(connection)

    def _read(self, connection: sqlite3.Connection) -> None:
        unknown = orjson.dumps(sorted(self._ids.keys() - self._services.keys())).decode()
        rows = connection.execute(
            "select number, id, start from process where number > ? or"
            " (start is not null and number in (select value from json_each(?)))",
            (max(self._ids, default=0), unknown),
        )
        for number, name, start in rows:
            self._ids[number] = name
            if start is not None:
                meta = orjson.loads(start)[META_KEY]
                self._services[number] = ProcessName.from_start(meta).service
