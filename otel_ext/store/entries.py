"""Turns lines of records into what a store keeps of them: spans, logs, facts of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import orjson

from otel_ext.analysis.traces.span import SpanDecoder
from otel_ext.observe.event_query import correlation_of
from otel_ext.record.entities import entity_in
from otel_ext.record.model import META_KEY
from otel_ext.record.timestamps import time_of
from otel_ext.runtime.process.records import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_ext.analysis.traces.span import Span
    from otel_ext.record.entities import Entity
    from otel_ext.record.merge import SpanKey

    _Fields: TypeAlias = Mapping[str, object]
    _Key: TypeAlias = tuple[object, object, object]

__all__ = ["MOST_NUMBER", "Entry", "EntryReader", "LogEntry", "ProcessEntry", "SpanEntry"]

_SPAN_ID: Final = 16
_TRACE_ID: Final = 32
_PHASES: Final = ("start", "update", "end")
MOST_NUMBER: Final = (1 << 63) - 1
"""The greatest number that a database keeps."""

_LEAST_NUMBER: Final = -(1 << 63)
_MOST_TEXT: Final = 4_096
# Of one record.
_MOST_LINKS: Final = 128


class SpanEntry(NamedTuple):
    """A record of a span.

    Attributes:
        span: What it says of the span.
        line: The record, without a newline.
        attributes: The user's attributes in it.
        is_opener: Whether its process is known to have recorded that the span started.
        links: Trace and span ids of the spans that it links to, up to 128.
    """

    span: Span
    line: bytes
    attributes: Mapping[str, object]
    is_opener: bool
    links: Sequence[SpanKey] = ()


class LogEntry(NamedTuple):
    """A log or an event.

    Attributes:
        time_ns: When it was written, nanoseconds since the epoch.
        seq: Its number within its process.
        process: The id of the process.
        trace_id: The trace; empty without one.
        span_id: The span; empty without one.
        kind: `log` or `event`.
        level: Its level; empty without one.
        text: Its text.
        line: The record, without a newline.
        attributes: The user's fields in it.
        entity: What an event is about; None if it is about nothing.
        correlation: Its correlation id; empty without one.
    """

    time_ns: int
    seq: int
    process: str
    trace_id: str
    span_id: str
    kind: str
    level: str
    text: str
    line: bytes
    attributes: Mapping[str, object]
    entity: Entity | None = None
    correlation: str = ""


class ProcessEntry(NamedTuple):
    """A record that a process wrote about itself.

    Attributes:
        process: The id of the process.
        event: `process.start`, `process.heartbeat` or `process.end`.
        time_ns: When it was written, nanoseconds since the epoch.
        seq: Its number within its process.
        line: The record, without a newline.
        meta: Its metadata.
    """

    process: str
    event: str
    time_ns: int
    seq: int
    line: bytes
    meta: Mapping[str, object]


Entry: TypeAlias = SpanEntry | LogEntry | ProcessEntry


class EntryReader:
    """Reads the entries in lines; those of one reader share their texts.

    Of a span that starts and ends within the same lines, only the end becomes an entry.

    Attributes:
        accepted: How many lines were records that can be stored.
        refused: How many were not.

    >>> reader = EntryReader()
    >>> reader.add(b'{"not": "a record"}'), reader.take(), reader.refused
    (False, [], 1)
    """

    def __init__(self) -> None:
        self.accepted = self.refused = 0
        self._decode = SpanDecoder().decode
        self._entries: list[Entry] = []
        # By trace, span and process: starts without an end, and the numbers of ends.
        self._started: dict[_Key, tuple[bytes, _Fields, _Fields]] = {}
        self._ended: dict[_Key, int] = {}

    def add(self, line: bytes) -> bool:
        """Add a line; return whether it is a record that may be stored."""
        try:
            loaded = orjson.loads(line)
            meta = loaded.pop(META_KEY)
            kind = meta["kind"]
            if kind == "span":
                self._add_span(line, loaded, meta)
            elif (entry := _other(line, loaded, meta, kind)) is not None:
                self._entries.append(entry)
                self.accepted += 1
            else:
                self.refused += 1
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            self.refused += 1
            return False
        return True

    def take(self) -> list[Entry]:
        """Return the entries of the lines since the last call."""
        for line, attributes, meta in self._started.values():
            self._append(line, attributes, meta, is_opener=True)
        found = self._entries
        self._entries, self._started, self._ended = [], {}, {}
        return found

    def _add_span(self, line: bytes, attributes: _Fields, meta: _Fields) -> None:
        """Add a record of a span, unless another record makes it superfluous."""
        key = meta["trace_id"], meta["span_id"], meta["process"]
        phase = meta["phase"]
        if phase == "end":
            is_opener = self._started.pop(key, None) is not None
            self.accepted += is_opener
            self._ended[key] = len(self._entries)
            if not self._append(line, attributes, meta, is_opener=is_opener):
                del self._ended[key]
        elif phase == "start" and key in self._ended:
            ended = self._ended[key]
            end = cast("SpanEntry", self._entries[ended])
            self._entries[ended] = end._replace(is_opener=True)
            self.accepted += 1
        elif phase == "start" and key not in self._started:
            self._started[key] = line, attributes, meta
        else:  # the merge rule decides, also between two starts
            self._append(line, attributes, meta, is_opener=phase == "start")

    def _append(self, line: bytes, attributes: _Fields, meta: _Fields, *, is_opener: bool) -> bool:
        span = self._decode(meta, None)
        if span is None or not _can_be_stored(span):
            self.refused += 1
            return False
        if span.parent_span_id and not _is_hex(span.parent_span_id, _SPAN_ID):
            span = span._replace(parent_span_id="")
        links = _links_in(meta["links"]) if "links" in meta else ()
        self._entries.append(SpanEntry(span, line, attributes, is_opener, links))
        self.accepted += 1
        return True


def _other(
    line: bytes, attributes: _Fields, meta: _Fields, kind: object
) -> LogEntry | ProcessEntry | None:
    if kind in ("log", "event"):
        return _log(line, attributes, meta, str(kind))
    return _process(line, meta)


def _can_be_stored(span: Span) -> bool:
    if span.phase not in _PHASES:
        return False
    numbers = span.seq, span.lineage[1], span.lineage[2], span.site[1]
    return _LEAST_NUMBER <= min(numbers) <= max(numbers) <= MOST_NUMBER and _are_ids(
        span.trace_id, span.span_id
    )


def _links_in(links: object) -> list[SpanKey]:
    """Return the ids in links of a record; a link without valid ids is left out."""
    if not isinstance(links, list):
        return []
    found: list[SpanKey] = []
    for link in cast("list[object]", links)[:_MOST_LINKS]:
        if isinstance(link, dict):
            fields = cast("_Fields", link)
            trace_id, span_id = fields.get("trace_id"), fields.get("span_id")
            if (
                isinstance(trace_id, str)
                and isinstance(span_id, str)
                and _are_ids(trace_id, span_id)
            ):
                found.append((trace_id, span_id))
    return found


def _log(
    line: bytes, attributes: Mapping[str, object], meta: Mapping[str, object], kind: str
) -> LogEntry | None:
    trace_id, span_id = str(meta.get("trace_id", "")), str(meta.get("span_id", ""))
    if not _is_hex(trace_id, _TRACE_ID):
        trace_id = span_id = ""
    elif not _is_hex(span_id, _SPAN_ID):
        span_id = ""
    return LogEntry(
        _time_in(meta),
        whole_number(meta.get("seq")),
        str(meta.get("process")),
        trace_id,
        span_id,
        kind,
        str(meta.get("level", "")),
        str(meta.get("event", ""))[:_MOST_TEXT],
        line,
        attributes,
        _entity(meta) if kind == "event" else None,
        correlation_of(attributes)[:_MOST_TEXT],
    )


def _entity(meta: _Fields) -> Entity | None:
    """Return what an event is about, unless its name is too long to be a key."""
    entity = entity_in(meta)
    if entity is None or max(len(entity.type), len(entity.id)) > _MOST_TEXT:
        return None
    return entity


def _process(line: bytes, meta: Mapping[str, object]) -> ProcessEntry | None:
    process, event = meta.get("process"), meta.get("event")
    if not isinstance(process, str) or not isinstance(event, str) or meta["kind"] != "process":
        return None
    return ProcessEntry(process, event, _time_in(meta), whole_number(meta.get("seq")), line, meta)


def _time_in(meta: Mapping[str, object]) -> int:
    """Return the time of a record, which a database can keep."""
    return max(min(time_of(str(meta.get("timestamp"))), MOST_NUMBER), _LEAST_NUMBER)


def _are_ids(trace_id: str, span_id: str) -> bool:
    """Whether texts are the ids of a trace and of a span."""
    return len(trace_id) == _TRACE_ID and _is_hex(trace_id + span_id, _TRACE_ID + _SPAN_ID)


def _is_hex(text: str, size: int) -> bool:
    """Whether a text has so many lower-case hex digits, as ids in records have.

    A store keeps ids as bytes, which would be the same for upper-case digits.
    """
    try:
        return len(text) == size and bytes.fromhex(text).hex() == text
    except ValueError:
        return False
