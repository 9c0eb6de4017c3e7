"""`PriorityQueue`: a bounded queue between the program's threads and the sending thread.

It needs no lock: the program's threads put, one thread takes. It has three priorities,
each with its own limit of records and bytes, so starts never push out ends: provisional
records, real ends of spans, and the rest (logs, process records, and ends made up for
spans that never ended).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.record.sanitise.sanitiser import sanitised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record

__all__ = ["Item", "Priority", "PriorityQueue", "QueueLimits", "size_of"]

Item: TypeAlias = "tuple[Record, int]"
"""A record and its estimated size in bytes."""

# A record with its attributes' dictionary and the values that are not text.
_BASE: Final = 1_024
_SMALL: Final = 64
# A number in a list.
_NESTED: Final = 16
# Shares of a limit: the sending thread must return before the rest fills up.
_FILLING_SHARE: Final = 0.2
_INCOMING_SHARE: Final = 0.02
_NEARLY_FULL_SHARE: Final = 0.6


class QueueLimits(NamedTuple):
    """How many records and bytes may wait for a destination.

    Attributes:
        records: Final records; in addition half as many provisional ones, and half as
            many logs.
        size: Estimated bytes of final records; likewise.
    """

    records: int = OtlpSettings.queue_size
    size: int = OtlpSettings.queue_bytes


class Priority:
    """One priority class of the queue: its waiting records and its limits.

    `held` and `held_size` count what the sending thread has taken and not sent yet;
    only that thread changes them.

    Args:
        limits: The maximum of records and bytes.
    """

    __slots__ = ("held", "held_size", "items", "limits", "size")

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.items: deque[Item] = deque()
        self.size = 0
        self.held = 0
        self.held_size = 0

    def put(self, record: Record) -> bool:
        """Add one record; False if it is full."""
        item = self._fitting(record)
        if item is None:
            return False
        # Without a lock two threads at once may miscount, by one record, until this is
        # next found empty.
        self.size += item[1]
        self.items.append(item)
        return True

    def _fitting(self, record: Record) -> Item | None:
        """Return a record with its size; None if there is no room for it."""
        record = sanitised(record)
        size = size_of(record)
        records, max_size = self.limits
        if len(self) >= records or self.size + self.held_size + size > max_size:
            return None
        return record, size

    def take(self, count: int) -> list[Item]:
        """Remove the oldest `count` records; called by the sending thread."""
        pop = self.items.popleft
        taken = [pop() for _ in range(count)]
        size = sum([item[1] for item in taken])
        self.held += count
        self.held_size += size
        self.size = max(self.size - size, 0) if self.items else 0
        return taken

    def hold(self, record: Record) -> Item | None:
        """Count a record as taken that did not wait here; None if there is no room for it."""
        item = self._fitting(record)
        if item is not None:
            self.held += 1
            self.held_size += item[1]
        return item

    def release(self, items: Sequence[Item]) -> None:
        """Free the space of `items`, which were taken and then sent or given up."""
        self.held -= len(items)
        self.held_size -= sum([item[1] for item in items])

    def __len__(self) -> int:
        return len(self.items) + self.held

    @property
    def is_filling(self) -> bool:
        """Whether so many records arrive that it may soon be full.

        Taken records do not count while nothing arrives: a flush has time to send them.
        """
        records, max_size = self.limits
        incoming = max(len(self.items) / records, self.size / max_size)
        total = max(len(self) / records, (self.size + self.held_size) / max_size)
        return incoming > _FILLING_SHARE or (
            incoming > _INCOMING_SHARE and total > _NEARLY_FULL_SHARE
        )


class PriorityQueue:
    """The three priorities of one destination.

    Args:
        limits: How many records and bytes may wait.
    """

    __slots__ = ("finals", "logs", "provisional")

    def __init__(self, limits: QueueLimits) -> None:
        half = QueueLimits(max(limits.records // 2, 1), max(limits.size // 2, 1))
        self.finals = Priority(limits)
        self.provisional = Priority(half)
        self.logs = Priority(half)

    @property
    def is_filling(self) -> bool:
        """Whether one of the priorities may soon be full."""
        return self.finals.is_filling or self.provisional.is_filling or self.logs.is_filling

    def priority_of(self, record: Record) -> Priority:
        """Return the priority of `record`."""
        if record.provisional:
            return self.provisional
        return self.finals if record.is_real_end else self.logs

    def take(self) -> tuple[list[Item], list[Item], list[Item]]:
        """Remove all records: provisional ones, final ones, logs.

        For every final record, this or an earlier call has returned its start: finals
        are counted before the starts are taken.
        """
        finals = len(self.finals.items)
        provisional = self.provisional.take(len(self.provisional.items))
        return provisional, self.finals.take(finals), self.logs.take(len(self.logs.items))


def size_of(record: Record) -> int:
    """Estimate the bytes of a sanitised record.

    >>> from otel_ext.record.model import Process, Record
    >>> size_of(Record("log", None, "x" * 500, 0, 1, Process("p"))) > 1_500
    True
    """
    size = _BASE + len(record.name) + _size_of(record.attributes)
    if record.events or record.links or record.extra:
        size += _size_of(record.extra)
        size += sum(_SMALL + _size_of(event.attributes) for event in record.events)
        size += sum(_SMALL + _size_of(link.attributes) for link in record.links)
    return size


def _size_of(attributes: object) -> int:
    size: int = getattr(attributes, "size", _SMALL)
    nested: int = getattr(attributes, "nested", 0)
    return size + _NESTED * nested
