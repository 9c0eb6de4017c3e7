"""The entities of this process that live: the newest event record of each.

A journal's new file repeats these records after the open spans, so that old files can be
deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.record.entities import entity_of
from otel_ext.runtime.fork import after_fork_in_child

if TYPE_CHECKING:
    from otel_ext.record.entities import Entity
    from otel_ext.record.model import Record

__all__ = ["LivingEntities"]

# As many as there may be open spans.
_MAX_LIVING: Final = 100_000
_MAX_ENDED: Final = 1_000


class LivingEntities:
    """The newest record of each entity that lives; a forked child has none.

    Entities beyond 100,000 are not repeated in new files.

    >>> from otel_ext.record.model import Process, Record
    >>> living = LivingEntities()
    >>> about = {"entity": {"type": "agent", "id": "a"}}
    >>> living.note(Record("event", None, "agent.registered", 0, 1, Process("p"), extra=about))
    >>> [record.name for record in living.records()]
    ['agent.registered']
    """

    _records: dict[tuple[str, str], Record]
    _ended: dict[tuple[str, str], int]

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def note(self, record: Record) -> None:
        """Remember the record of an entity that lives; forget the entity that it deletes."""
        entity = entity_of(record)
        if entity is None:
            return
        key = entity.type, entity.id
        known = self._records.get(key)
        # Threads may come in another order than the numbers of their records.
        if max(self._ended.get(key, -1), -1 if known is None else known.seq) > record.seq:
            return
        if entity.deleted:
            self._records.pop(key, None)
            if len(self._ended) >= _MAX_ENDED:
                self._ended.clear()
            self._ended[key] = record.seq
        elif known is not None or len(self._records) < _MAX_LIVING:
            self._records[key] = record

    def forget(self, entity: Entity) -> None:
        """Repeat the record of an entity in new files no more."""
        self._records.pop((entity.type, entity.id), None)

    def records(self) -> list[Record]:
        """Return the newest record of each entity."""
        # Copied in one step, because other threads may add some.
        return list(self._records.copy().values())

    def _reset(self) -> None:
        self._records, self._ended = {}, {}
