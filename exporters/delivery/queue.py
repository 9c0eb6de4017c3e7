"""`PriorityQueue`: a bounded queue between the program's threads and the sending thread.

It needs no lock: the program's threads put, one thread takes. It has three priorities,
each with its own limit of records and bytes, so starts never push out ends: provisional
records, real ends of spans, and the rest (logs, process records, and ends made up for
spans that never ended).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from otel_ext.exporters.otlp.encoding.values import clean_attributes
from otel_ext.exporters.otlp.settings import OtlpSettings

if TYPE_CHECKING:
    from otel_ext.record.model import Record

__all__ = ["Item", "Priority", "PriorityQueue", "QueueLimits", "size_of"]

Item: TypeAlias = "tuple[Record, int]"
"""A record and its estimated size in bytes."""

# A record with its attributes' dictionary and the values that are not text.
_BASE: Final = 1_024
_SMALL: Final = 64
_MAX_DEPTH: Final = 24
# Shares of a limit: the sending thread must return before the rest fills up.
_FILLING_SHARE: Final = 0.2
_INCOMING_SHARE: Final = 0.02
_NEARLY_FULL_SHARE: Final = 0.6
# Destinations accept no larger record, so a larger one is cut when it is queued.
_MAX_RECORD_SIZE: Final = 2 * 1024 * 1024
_PLAIN: Final = (int, float, type(None))


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
        size = size_of(record)
        if size > _MAX_RECORD_SIZE:
            record = record._replace(attributes=clean_attributes(record.attributes))
            size = size_of(record)
        records, max_size = self.limits
        if len(self.items) + self.held >= records or self.size + self.held_size + size > max_size:
            return False
        # Without a lock two threads at once may miscount, by one record, until this is
        # next found empty.
        self.size += size
        self.items.append((record, size))
        return True

    def take(self, count: int) -> list[Item]:
        """Remove the oldest `count` records; called by the sending thread."""
        pop = self.items.popleft
        taken = [pop() for _ in range(count)]
        size = sum([item[1] for item in taken])
        self.held += count
        self.held_size += size
        self.size = max(self.size - size, 0) if self.items else 0
        return taken

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
    """Estimate the bytes of `record` quickly, rather too high than too low.

    >>> from otel_ext.record.model import Process, Record
    >>> size_of(Record("log", None, "x" * 500, 0, 1, Process("p"))) > 1_500
    True
    """
    size = _BASE + len(record.name)
    for key, value in record.attributes.items():
        size += len(key)
        if isinstance(value, str):
            size += len(value) if value.isascii() else _bytes_of(value)
        elif not isinstance(value, _PLAIN):
            size += _size_of_value(value, _MAX_DEPTH)
    if record.events:
        size += sum(
            _SMALL + _size_of_value(event.attributes, _MAX_DEPTH) for event in record.events
        )
    if record.links:
        size += sum(_SMALL + _size_of_value(link.attributes, _MAX_DEPTH) for link in record.links)
    if record.extra:
        size += _size_of_value(record.extra, _MAX_DEPTH)
    return size


def _bytes_of(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 3 * len(text)


def _size_of_value(value: object, depth: int) -> int:
    if isinstance(value, str):
        return _SMALL + (len(value) if value.isascii() else _bytes_of(value))
    if isinstance(value, (bytes, bytearray)):
        return _SMALL + len(value)
    if depth == 0:
        return _BASE
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return _SMALL + sum(
            _size_of_value(key, 0) + _size_of_value(item, depth - 1) for key, item in pairs
        )
    if isinstance(value, Sequence):
        items = cast("Sequence[object]", value)
        return _SMALL + sum(_size_of_value(item, depth - 1) for item in items)
    return _SMALL
