"""Makes records of the spans of other tools, and introduces their processes."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from otel_ext.errors import RecordError
from otel_ext.formats.read.pieces import call_site_in
from otel_ext.record.model import (
    SPAN_KINDS,
    UNKNOWN_CALL_SITE,
    Process,
    Record,
    Status,
)
from otel_ext.record.sanitise.values import encode_object
from otel_ext.record.schema.rules import META_RULES
from otel_ext.runtime.process.records import process_start_record, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeGuard

    from otel_ext.record.model import Abandoned, Link, Scope, SpanEvent

__all__ = ["ImportedSpan", "Importer", "Rejected", "introduction", "is_process_id", "label_of"]

_MOST_TEXT: Final = 200


class Rejected(NamedTuple):
    """A part of a document of which no record is made, or that a record lacks: why."""

    reason: str


class ImportedSpan(NamedTuple):
    """A span of another tool.

    Attributes:
        trace_id: Its trace, in hex.
        span_id: Its id, in hex.
        parent_span_id: The parent's id, in hex; may be empty.
        name: Its name.
        start_ns: When it started, nanoseconds since the epoch.
        end_ns: When it ended; None if it is open.
        kind: `internal`, `server`, `client`, `producer` or `consumer`.
        attributes: Its attributes; `code.file.path` and others become its call site.
        status: Its status.
        events: Its events.
        links: Its links.
        scope: What made it.
        abandoned: Why its end is made up; None for its own end.
        lost: What of it is left out, and why.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    start_ns: int
    end_ns: int | None
    kind: str = "internal"
    attributes: Mapping[str, object] = {}
    status: Status = Status("unset")
    events: Sequence[SpanEvent] = ()
    links: Sequence[Link] = ()
    scope: Scope | None = None
    abandoned: Abandoned | None = None
    lost: Sequence[str] = ()


def label_of(name: object) -> str:
    """Return what a span is called in messages about it.

    >>> label_of("pay"), label_of(None)
    ("the span 'pay'", 'a span')
    """
    return f"the span {name[:80]!r}" if isinstance(name, str) else "a span"


class Importer:
    """Makes records of spans: numbers them, and introduces the process of each resource.

    Args:
        source: Stands for the input. The ids of processes depend on it and on the resource, so
            records of two inputs differ, and those of one input are always the same.
        keeps_ids: Whether spans that name their process keep it. Their numbers are not those that
            the process itself has given to its records.
    """

    def __init__(self, source: bytes = b"", *, keeps_ids: bool = False) -> None:
        self._source = source
        self._keeps_ids = keeps_ids
        self._processes: dict[bytes, Process] = {}
        self._numbers: dict[str, int] = {}
        self._latest: tuple[Mapping[str, object], tuple[str, object], Process] | None = None

    def records_of(
        self,
        name: object,
        make: Callable[[], ImportedSpan],
        resource: Mapping[str, object],
        process: object = None,
    ) -> Iterator[Record | Rejected]:
        """Yield the start of a process that is new, the record of a span, and what is wrong.

        Args:
            name: The span's name, for what is wrong.
            make: Makes the span; may raise anything.
            resource: The resource of its process.
            process: The process's id, if the span names it.
        """
        label = label_of(name)
        try:
            span = make()
            records = self._records(span, self.process_of(resource, process_id=process))
        except RecordError as error:
            yield Rejected(f"{label}: {error}")
        except Exception as error:  # noqa: BLE001 - the document may be anything
            yield Rejected(f"{label}: {type(error).__name__}: {error}"[:_MOST_TEXT])
        else:
            yield from records
            for reason in span.lost:
                yield Rejected(f"{label}: {reason}")

    def _records(self, span: ImportedSpan, process: Process) -> list[Record]:
        if not span.trace_id or not span.span_id:
            raise RecordError("it has no ids", hint="Leave it out.")
        record = Record(
            kind="span",
            phase="start" if span.end_ns is None else "end",
            name=span.name,
            time_ns=span.start_ns if span.end_ns is None else max(span.end_ns, span.start_ns),
            seq=0,
            process=process,
            call_site=call_site_in(span.attributes),
            attributes=span.attributes,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            span_kind=span.kind if span.kind in SPAN_KINDS else "internal",
            scope=span.scope,
            links=tuple(span.links),
            start_ns=0 if span.end_ns is None else span.start_ns,
            status=None if span.end_ns is None else span.status,
            events=tuple(span.events),
            abandoned=None if span.end_ns is None else span.abandoned,
        )
        return self.numbered(record, span.start_ns)

    def numbered(self, record: Record, start_ns: int) -> list[Record]:
        """Return a record with its number, after the start of its process if that is new.

        Args:
            record: The record.
            start_ns: The time of the process's start, if this is its first record.
        """
        process = record.process
        number = self._numbers.get(process.id, 0)
        first: list[Record] = []
        if not number:
            number += 1
            first = [introduction(process, start_ns)]
        self._numbers[process.id] = number = number + 1
        return [*first, record._replace(seq=number)]

    def process_of(
        self, resource: Mapping[str, object], kind: str = "", process_id: object = None
    ) -> Process:
        """Return the process of a resource.

        Args:
            resource: The resource.
            kind: Processes of another kind are other ones.
            process_id: Its id, if it is known.
        """
        latest = self._latest
        if latest is not None and latest[0] is resource and latest[1] == (kind, process_id):
            return latest[2]  # the spans of one resource follow each other
        name = process_id if self._keeps_ids and is_process_id(process_id) else ""
        key = (name or kind).encode() + _text_of(resource)
        found = self._processes.get(key)
        if found is None:
            name = name or f"imported-{blake2b(self._source + key, digest_size=8).hexdigest()}"
            pid = whole_number(resource.get("process.pid"))
            host = str(resource.get("host.name") or "")
            found = Process(name, pid=pid, host=host, resource=dict(resource))
            self._processes[key] = found
        self._latest = resource, (kind, process_id), found
        return found


def is_process_id(value: object) -> TypeGuard[str]:
    """Whether a value can be the id of a process.

    >>> is_process_id("5f3c9a1e-4711-889012-c0ffee42"), is_process_id("../x"), is_process_id(7)
    (True, False, False)
    """
    return META_RULES["process"].accepts(value)


def _text_of(resource: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a large number, half of a surrogate pair, or too deep
        return encode_object(dict(sorted(resource.items())))


def introduction(process: Process, time_ns: int) -> Record:
    """Return the first record of a process, without what is only true of this one.

    Args:
        process: The process.
        time_ns: When it was first observed, nanoseconds since the epoch.
    """
    record = process_start_record(process, 1)
    facts = {name: value for name, value in record.extra.items() if name != "steady_ns"}
    return record._replace(time_ns=time_ns, call_site=UNKNOWN_CALL_SITE, extra=facts)
