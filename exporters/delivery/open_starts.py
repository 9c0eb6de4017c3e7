"""`OpenStarts`: the starts of spans that are still open, from the tables of open spans.

So they need not be queued. Nearly all would be queued in vain, since their spans end within
the grace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_ext.exporters.delivery.queue import Item, Priority
    from otel_ext.inflight.table import InflightTable, Key
    from otel_ext.record.model import Record

__all__ = ["OpenStarts"]


class OpenStarts:
    """Finds starts that are to be sent, each once.

    Only the queue's thread uses it, except for `add_table` and `has`.

    >>> OpenStarts().is_used
    False
    """

    def __init__(self) -> None:
        self._tables: tuple[InflightTable, ...] = ()
        self._taken: set[Key] = set()
        self._ended: set[Key] = set()  # of those, the ones that had ended at the last look

    @property
    def is_used(self) -> bool:
        """Whether there is a table."""
        return bool(self._tables)

    def add_table(self, table: InflightTable) -> None:
        """Look for starts in `table`, too."""
        self._tables = (*self._tables, table)

    def reset(self) -> None:
        """Forget which were taken; a forked child has open spans of its own."""
        self._taken = set()
        self._ended = set()

    def was_taken(self, end: Record) -> bool:
        """Return whether the start of a span was taken that has ended just now."""
        return _key_of(end.trace_id, end.span_id) in self._taken

    def leave_out(self, update: Record) -> None:
        """Do not take the start of a span, since an update contains all of it."""
        if self._tables:
            self._taken.add(_key_of(update.trace_id, update.span_id))

    def has(self, record: Record) -> bool:
        """Return whether a table has the span of `record`."""
        return bool(self._tables) and self._is_open(_key_of(record.trace_id, record.span_id))

    def _is_open(self, key: Key) -> bool:
        return any(table.get(key) is not None for table in self._tables)

    def due(self, born_before: float, priority: Priority) -> list[Item]:
        """Take the starts of spans that opened before `born_before`, the oldest first.

        Args:
            born_before: In nanoseconds of the monotonic clock.
            priority: Has to have room for them; the others are due again the next time.
        """
        # Those that have ended cannot be due again; an end may be queued a little later.
        taken = self._taken
        ended = {key for key in taken if not self._is_open(key)}
        taken -= ended & self._ended
        self._ended = ended
        due: list[Item] = []
        for table in self._tables:
            for key, record in table.starts_before(born_before, taken):
                item = priority.hold(record)
                if item is None:
                    return due
                taken.add(key)
                due.append(item)
        return due

    def take(self, trace_id: str, span_id: str, priority: Priority) -> Item | None:
        """Take the start of an open span, unless it was taken or there is no room for it."""
        if not self._tables:
            return None
        key = _key_of(trace_id, span_id)
        if key in self._taken:
            return None
        for table in self._tables:
            entry = table.get(key)
            if entry is not None:
                item = priority.hold(entry.record)
                if item is not None:
                    self._taken.add(key)
                return item
        return None


def _key_of(trace_id: str, span_id: str) -> Key:
    try:
        return int(trace_id, 16), int(span_id, 16)
    except ValueError:
        return 0, 0  # of no span: the record comes from elsewhere
