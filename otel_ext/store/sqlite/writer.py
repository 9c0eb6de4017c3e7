"""`SqliteWriter`: the one writer of a SQLite store.

A trace lies in the file of the day of its first known start, with all that is added to it
later. The processes of a batch are stored first, then its days, then the positions up to which
files were read: after a kill in between, the same records are written again, which changes
nothing.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from contextlib import ExitStack, suppress
from time import time_ns
from typing import TYPE_CHECKING, Final

from otel_ext.store.sqlite.common import Common
from otel_ext.store.sqlite.day import DayWriter
from otel_ext.store.sqlite.days import (
    DEFAULT_LIMITS,
    StoreLimits,
    beyond,
    day_of,
    days_in,
    file_of,
    files_of,
    start_of,
)
from otel_ext.store.sqlite.failures import not_writable, store_error, store_errors
from otel_ext.store.sqlite.lock import WriterLock
from otel_ext.store.sqlite.schema import COMMON_FILE
from otel_ext.store.sqlite.sorting import SortedEntries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_ext.store.entries import Entry
    from otel_ext.store.protocol import Position
    from otel_ext.store.sqlite.traces import TraceRow

__all__ = ["SqliteWriter"]

# Traces whose day is remembered, so that it is not looked for in each file.
_MOST_HOMES: Final = 50_000
_PRIVATE: Final = 0o700


class SqliteWriter:
    """Writes a store in a folder; see `StoreWriter`.

    Args:
        folder: The folder of the store; it is created if need be.
        limits: How much is kept.
        anew: Whether to begin with an empty store.

    Raises:
        StoreError: It cannot be written, another process writes it, or it is damaged.
    """

    def __init__(
        self, folder: Path, limits: StoreLimits = DEFAULT_LIMITS, *, anew: bool = False
    ) -> None:
        self._folder = folder
        self._limits = limits
        try:
            folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(folder, error) from error
        self._days: dict[int, DayWriter] = {}
        self._homes: OrderedDict[str, int] = OrderedDict()
        with store_errors(folder), ExitStack() as opened:
            self._lock = WriterLock(folder)
            opened.callback(self._lock.close)
            if anew:
                _delete(folder / COMMON_FILE, *(file_of(folder, day) for day in days_in(folder)))
            self._common = Common(folder)
            opened.callback(self._common.close)
            opened.callback(self._close_days)
            for day in days_in(folder):
                self._day(day)
            changes = (day.last_change for day in self._days.values())
            self._change = max(self._common.sequence, *changes, 0)
            self._opened = opened.pop_all()

    @property
    def change(self) -> int:
        """The number of the last change."""
        return self._change

    def is_in_place(self) -> bool:
        """Return whether no file of the store was deleted by others."""
        files = [self._folder / COMMON_FILE, *(day.path for day in self._days.values())]
        return self._lock.is_in_place() and all(file.exists() for file in files)

    def positions(self) -> Sequence[Position]:
        """Return up to where each file was read."""
        with store_errors(self._folder):
            return self._common.positions()

    def write(self, entries: Sequence[Entry], positions: Sequence[Position] = ()) -> int:
        """Store entries; return the number of the last change. See `StoreWriter.write`."""
        change = self._change + 1
        batch = SortedEntries(entries)
        writing: dict[DayWriter, list[TraceRow]] = {}
        try:
            self._common.introduce(batch.seen, batch.about, batch.entities, change)
            for trace_id in batch.spans.keys() | batch.logs.keys():
                self._write_trace(trace_id, batch, writing, change)
            for day, traces in writing.items():
                day.finish(traces)
            self._common.finish(change, positions)
        except BaseException as error:
            for day in writing:
                day.cancel()
            self._common.cancel()
            self._homes.clear()
            if isinstance(error, sqlite3.Error):
                raise store_error(self._folder, error) from error
            raise
        self._change = change
        return change

    def _write_trace(
        self,
        trace_id: str,
        batch: SortedEntries,
        writing: dict[DayWriter, list[TraceRow]],
        change: int,
    ) -> None:
        spans, logs = batch.spans.get(trace_id, {}), batch.logs.get(trace_id, [])
        if not trace_id:
            for log in logs:
                day = self._begun(day_of(log.time_ns, time_ns()), writing, change)
                day.add_log(None, log)
            return
        first_ns = min(
            [one.span.start_ns for one in spans.values()] or [one.time_ns for one in logs]
        )
        blob = bytes.fromhex(trace_id)
        day = self._begun(self._home_of(trace_id, blob, first_ns), writing, change)
        trace = day.find(blob) or day.new_trace(blob, first_ns)
        is_changed = day.add_spans(trace, spans.values()) or trace.is_new
        for log in logs:
            day.add_log(trace, log)
        if is_changed:
            writing[day].append(trace)

    def _begun(
        self, number: int, writing: dict[DayWriter, list[TraceRow]], change: int
    ) -> DayWriter:
        """Return the writer of a day, in whose transaction the batch is written."""
        day = self._day(number)
        if day not in writing:
            writing[day] = []
            day.begin(change)
        return day

    def _home_of(self, trace_id: str, blob: bytes, first_ns: int) -> int:
        """Return the day in whose file a trace lies; for a new one, the day of its first time."""
        home = self._homes.get(trace_id)
        if home is None:
            numbers = sorted(self._days, reverse=True)
            found = (day for day in numbers if self._days[day].find(blob) is not None)
            home = next(found, day_of(first_ns, time_ns()))
        self._homes[trace_id] = home
        self._homes.move_to_end(trace_id)
        if len(self._homes) > _MOST_HOMES:
            self._homes.popitem(last=False)
        return home

    def _day(self, day: int) -> DayWriter:
        """Return the writer of a day; if all days that may be kept are there, one of them.

        So times that are far apart do not make many files. Only a newer day is added always.
        """
        if day not in self._days and len(self._days) >= self._limits.days:
            day = min((known for known in self._days if known > day), default=day)
        if day not in self._days:
            path, start_ns = file_of(self._folder, day), start_of(day)
            self._days[day] = DayWriter(path, start_ns, self._common.number_of)
        return self._days[day]

    def forget(self) -> Sequence[str]:
        """Delete the oldest days beyond the limits; return the names of what was deleted."""
        deleted: list[str] = []
        for number in beyond(self._folder, self._limits):
            day = self._days.pop(number, None)
            if day is not None:
                day.close()
            path = file_of(self._folder, number)
            _delete(path)
            deleted.append(path.name)
        if deleted:
            self._homes.clear()
        oldest = min(self._days, default=0)
        with store_errors(self._folder):
            self._common.forget_entities(start_of(oldest) if deleted else 0)
        return deleted

    def close(self) -> None:
        """Close the store."""
        self._opened.close()

    def _close_days(self) -> None:
        for day in self._days.values():
            day.close()


def _delete(*paths: Path) -> None:
    """Delete files of SQLite, with those that they have beside them."""
    for file in (file for path in paths for file in files_of(path)):
        with suppress(FileNotFoundError):
            file.unlink()
