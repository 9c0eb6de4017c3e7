"""Which events are wanted, and what is known of one: the same for journals, stores and servers."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from otel_ext.journal.read.incarnations import base_id
from otel_ext.journal.read.salvage import metadata_of, parse_json
from otel_ext.record.entities import entity_in
from otel_ext.record.model import META_KEY
from otel_ext.record.timestamps import time_of
from otel_ext.runtime.process.incarnation import INCARNATION_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from otel_ext.record.entities import Entity

__all__ = [
    "EVENT_KINDS",
    "EventPlace",
    "EventQuery",
    "EventSource",
    "RecordedEvent",
    "correlation_of",
    "event_in",
    "is_of_process",
]

EVENT_KINDS: Final = ("event", "log")

# Attributes with the id that events of one operation share; the first that is there counts.
_CORRELATION_KEYS: Final = ("correlation_id", "correlation.id")
_PLACE: Final = re.compile(r"(-?\d{1,20})\.(-?\d{1,20})\.(.{1,200})", re.ASCII | re.DOTALL)
_INCARNATION: Final = re.compile(INCARNATION_ID, re.ASCII)


class EventPlace(NamedTuple):
    """Where an event stands in the order of all, by time.

    Attributes:
        time_ns: When it was recorded, nanoseconds since the epoch.
        seq: Its number within its process.
        process: The id of its process.

    >>> str(EventPlace(5, 1, "p"))
    '5.1.p'
    """

    time_ns: int
    seq: int
    process: str

    def __str__(self) -> str:
        return f"{self.time_ns}.{self.seq}.{self.process}"

    @classmethod
    def parse(cls, text: str) -> EventPlace | None:
        """Return the place whose `str` is this text; None if it is not one.

        >>> EventPlace.parse("5.1.p"), EventPlace.parse("soon")
        (EventPlace(time_ns=5, seq=1, process='p'), None)
        """
        match = _PLACE.fullmatch(text)
        return None if match is None else cls(int(match[1]), int(match[2]), match[3])


class RecordedEvent(NamedTuple):
    """One event, or one log.

    Attributes:
        place: Its time, its number and its process.
        kind: `event` or `log`.
        name: Its name, such as `cache.full`; of a log, its text.
        level: The level of a log; may be empty.
        trace_id: Its trace; may be empty.
        span_id: Its span; may be empty.
        entity: What it is about, such as an agent; None if it is about nothing.
        attributes: The user's data in it.
        line: The whole record, without a newline.
    """

    place: EventPlace
    kind: str
    name: str
    level: str
    trace_id: str
    span_id: str
    entity: Entity | None
    attributes: Mapping[str, object]
    line: bytes


class EventQuery(NamedTuple):
    """Which events are wanted; an empty text stands for any.

    Attributes:
        kinds: `event`, `log` or both.
        name: A pattern for the name: `*` for any characters, `?` for one, `[...]` for one of some.
        since_ns: Only those recorded then or later, nanoseconds since the epoch.
        until_ns: Only those recorded before; None for no limit.
        trace_id: The beginning of the trace's id.
        correlation: The attribute `correlation_id` or `correlation.id`, as text.
        process: The id of the process, or its pid.
        entity_type: The type of the entity that it is about, such as `agent`.
        entity_id: The id of that entity.
        before: Only those before this place; None for no limit.
        limit: How many at most, the newest.

    >>> place = EventPlace(5, 1, "p")
    >>> event = RecordedEvent(place, "event", "cache.full", "", "", "", None, {"n": 1}, b"")
    >>> EventQuery(name="cache.*").matches(event), EventQuery(name="page.*").matches(event)
    (True, False)
    """

    kinds: Collection[str] = ("event",)
    name: str = ""
    since_ns: int = 0
    until_ns: int | None = None
    trace_id: str = ""
    correlation: str = ""
    process: str = ""
    entity_type: str = ""
    entity_id: str = ""
    before: EventPlace | None = None
    limit: int = 1_000

    def matches(self, event: RecordedEvent) -> bool:
        """Whether an event is wanted, but for the limit.

        Args:
            event: The event.
        """
        place = event.place
        return (
            event.kind in self.kinds
            and place.time_ns >= self.since_ns
            and (self.until_ns is None or place.time_ns < self.until_ns)
            and (self.before is None or place < self.before)
            and event.trace_id.startswith(self.trace_id)
            and (not self.process or is_of_process(place.process, self.process))
            and (not self.name or fnmatchcase(event.name, self.name))
            and (not self.correlation or correlation_of(event.attributes) == self.correlation)
            and self._is_about(event.entity)
        )

    def _is_about(self, entity: Entity | None) -> bool:
        """Whether an entity is the wanted one."""
        if not self.entity_type and not self.entity_id:
            return True
        return (
            entity is not None
            and self.entity_type in {"", entity.type}
            and self.entity_id in {"", entity.id}
        )


class EventSource(Protocol):
    """Finds events: a store, or files of records."""

    def events(self, query: EventQuery) -> Iterable[RecordedEvent]:
        """Return the events that are wanted, the newest first."""
        ...


def correlation_of(attributes: Mapping[str, object]) -> str:
    """Return the correlation id in attributes; empty without one.

    >>> correlation_of({"correlation_id": 7}), correlation_of({"n": 1})
    ('7', '')
    """
    for key in _CORRELATION_KEYS:
        value = attributes.get(key)
        if type(value) in {str, int}:
            return str(value)
    return ""


@lru_cache(maxsize=256)
def is_of_process(process: str, wanted: str) -> bool:
    """Whether a process is meant by an id or a pid.

    Args:
        process: The id of the process in a record.
        wanted: An id, or a pid as text.

    >>> is_of_process("b0-7-1-00000000.2", "7"), is_of_process("b0-7-1-00000000", "8")
    (True, False)
    """
    incarnation = base_id(process)
    if wanted in {process, incarnation}:
        return True
    return _INCARNATION.fullmatch(incarnation) is not None and incarnation.split("-")[1] == wanted


def event_in(line: bytes) -> RecordedEvent | None:
    """Return the event or log in a line; None if it is neither.

    >>> event_in(b'{"not": "a record"}') is None
    True
    """
    loaded = parse_json(line)
    if not isinstance(loaded, dict):
        return None
    fields = cast("dict[str, object]", loaded)
    meta = metadata_of(fields)
    if meta is None or meta["kind"] not in EVENT_KINDS:
        return None
    place = EventPlace(
        time_of(_text(meta, "timestamp")), cast("int", meta["seq"]), cast("str", meta["process"])
    )
    del fields[META_KEY]
    kind = str(meta["kind"])
    return RecordedEvent(
        place=place,
        kind=kind,
        name=_text(meta, "event"),
        level=_text(meta, "level"),
        trace_id=_text(meta, "trace_id"),
        span_id=_text(meta, "span_id"),
        entity=entity_in(meta) if kind == "event" else None,
        attributes=fields,
        line=line,
    )


def _text(meta: Mapping[str, object], key: str) -> str:
    value = meta.get(key)
    return value if isinstance(value, str) else ""
