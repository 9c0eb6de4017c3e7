"""`Common`: what belongs to all days: processes, positions in files, the number of changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_ext.record.entities import CHECKPOINT
from otel_ext.runtime.process.records import (
    PROCESS_END,
    PROCESS_HEARTBEAT,
    PROCESS_START,
    dropped_in,
    whole_number,
)
from otel_ext.store.entries import MOST_NUMBER
from otel_ext.store.protocol import Position
from otel_ext.store.sqlite.schema import closed_on_failure, open_common, sequence_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_ext.store.entries import LogEntry, ProcessEntry

__all__ = ["Common"]

# Inodes are below this number, and some file systems use all of them.
_INODES: Final = 1 << 64
_ENTITY: Final = (
    "insert into entity (process, type, id, seq, deleted, time_ns, line, change)"
    " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (process, type, id) do update set"
    " seq = excluded.seq, deleted = excluded.deleted, time_ns = excluded.time_ns,"
    " line = excluded.line, change = excluded.change where excluded.seq > seq"
)
# The ends of entities are kept, since an older record of one may follow from another file.
_MOST_DELETED: Final = 10_000
_MOST_LIVING: Final = 100_000


class Common:
    """Writes the file of what belongs to all days.

    Args:
        folder: The folder of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = open_common(folder)
        with closed_on_failure(self._connection):
            self._numbers = self._read_numbers()

    @property
    def sequence(self) -> int:
        """The number of the last change that was noted here."""
        return sequence_of(self._connection)

    def number_of(self, process: str) -> int:
        """Return the number of a process that `introduce` has stored."""
        return self._numbers[process]

    def introduce(
        self,
        seen: Mapping[str, tuple[int, int]],
        entries: Iterable[ProcessEntry],
        entities: Iterable[LogEntry],
        change: int,
    ) -> None:
        """Store processes, before anything refers to their numbers.

        Args:
            seen: The first and the last time at which each process of a batch was seen.
            entries: What processes wrote about themselves.
            entities: The events that are about entities.
            change: The number of the change.
        """
        execute = self._connection.execute
        execute("begin")
        for process, (first_ns, last_ns) in seen.items():
            if process not in self._numbers:
                number = len(self._numbers) + 1
                execute(
                    "insert into process values (?, ?, ?, ?, 0, 0, 0, null, 0, null, 0, ?)",
                    (number, process, first_ns, last_ns, change),
                )
                self._numbers[process] = number
            else:
                execute(
                    "update process set seen_ns = max(seen_ns, ?), start_ns = min(start_ns, ?),"
                    " change = ? where id = ?",
                    (last_ns, first_ns, change, process),
                )
        for entry in entries:
            self._note(entry)
        self._connection.executemany(_ENTITY, self._entity_rows(entities, change))
        execute("commit")

    def _entity_rows(
        self, entities: Iterable[LogEntry], change: int
    ) -> Iterator[tuple[object, ...]]:
        for one in entities:
            if one.entity is not None:
                kind, name, is_deleted = one.entity
                line = b"" if is_deleted else one.line
                number = self._numbers[one.process]
                yield number, kind, name, one.seq, is_deleted, one.time_ns, line, change

    def _note(self, entry: ProcessEntry) -> None:
        execute = self._connection.execute
        if entry.event == PROCESS_START:
            # The number 0 is that of a start that a receiver has written; any other is better.
            execute(
                "update process set start = ?, start_seq = ?, start_ns = ?, heartbeat_ms = ?"
                " where id = ? and (start is null or start_seq < min(?, 1))",
                (
                    entry.line,
                    entry.seq,
                    entry.time_ns,
                    whole_number(entry.meta.get("heartbeat_ms")),
                    entry.process,
                    entry.seq,
                ),
            )
        elif entry.event in {PROCESS_HEARTBEAT, PROCESS_END}:
            execute(
                "update process set latest = ?, latest_seq = ?, has_ended = max(has_ended, ?),"
                " dropped = max(dropped, ?) where id = ? and latest_seq <= ?",
                (
                    entry.line,
                    entry.seq,
                    int(entry.event == PROCESS_END),
                    min(dropped_in(entry.meta), MOST_NUMBER),
                    entry.process,
                    entry.seq,
                ),
            )

    def finish(self, change: int, positions: Iterable[Position]) -> None:
        """Note that a batch is stored."""
        execute = self._connection.execute
        execute("begin")
        execute("insert or replace into fact values ('sequence', ?)", (change,))
        rows = ((os.fsencode(one.file), _signed(one.inode), one.offset) for one in positions)
        self._connection.executemany("insert or replace into position values (?, ?, ?)", rows)
        execute("delete from position where offset = 0")
        execute("commit")

    def forget_entities(self, before_ns: int) -> None:
        """Delete the entities that count no more, and the oldest beyond a limit.

        Args:
            before_ns: Of processes that were last seen before, nothing is kept.
        """
        execute = self._connection.execute
        execute("begin")
        execute(
            "delete from entity where type <> ? and process in"
            " (select number from process where has_ended)",
            (CHECKPOINT,),
        )
        execute(
            "delete from entity where process in (select number from process where seen_ns < ?)",
            (before_ns,),
        )
        for is_deleted, most in ((1, _MOST_DELETED), (0, _MOST_LIVING)):
            execute(
                "delete from entity where number in (select number from entity"
                " where deleted = ? order by change desc, number desc limit -1 offset ?)",
                (is_deleted, most),
            )
        execute("commit")

    def cancel(self) -> None:
        """Undo what was not committed."""
        if self._connection.in_transaction:
            self._connection.execute("rollback")
        self._numbers = self._read_numbers()

    def _read_numbers(self) -> dict[str, int]:
        """Return the numbers of the stored processes, by their ids."""
        return dict(self._connection.execute("select id, number from process"))

    def positions(self) -> list[Position]:
        """Return up to where each file was read."""
        rows = self._connection.execute("select file, inode, offset from position")
        return [Position(os.fsdecode(row[0]), row[1] % _INODES, row[2]) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _signed(inode: int) -> int:
    """Return the number that stands for an inode in a column."""
    return inode if inode <= MOST_NUMBER else inode - _INODES
