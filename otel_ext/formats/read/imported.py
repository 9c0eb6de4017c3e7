"""Makes records of what other tools have written: the pieces that all readers share."""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import orjson

from otel_ext.errors import RecordError
from otel_ext.record.model import (
    EMPTY,
    SPAN_KINDS,
    UNKNOWN_CALL_SITE,
    CallSite,
    Link,
    Process,
    Record,
    Scope,
    Status,
)
from otel_ext.record.sanitise.values import encode_object
from otel_ext.runtime.process.records import process_start_record, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from otel_ext.record.model import Abandoned, SpanEvent

__all__ = [
    "Fields",
    "ImportedSpan",
    "Importer",
    "Rejected",
    "fields_of",
    "hex_id",
    "items_of",
    "link_of",
    "objects_of",
    "parts_of",
]

Fields = dict[str, object]
Part = TypeVar("Part")

_HEX: Final = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,32})")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_MOST_TEXT: Final = 200


class Rejected(NamedTuple):
    """A part of a document of which no record is made, or that a record lacks: why."""

    reason: str


def fields_of(value: object) -> Fields:
    """Return a JSON object; an empty one for any other value."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def items_of(value: object) -> list[object]:
    """Return a JSON list; an empty one for any other value."""
    return cast("list[object]", value) if isinstance(value, list) else []


def objects_of(value: object, name: str, lost: list[str]) -> Iterator[Fields]:
    """Yield the objects of a list; note in `lost` what is not an object in a list.

    Args:
        value: The list; None for an empty one.
        name: Its name.
        lost: Gets a text for each thing that is left out.
    """
    items = items_of(value)
    if value is not None and not isinstance(value, list):
        lost.append(f"{name}: not a list")
    for item in items:
        if isinstance(item, dict):
            yield cast("Fields", item)
        else:
            lost.append(f"{name}: not an object")


def parts_of(
    value: object, name: str, make: Callable[[Fields], Part], lost: list[str]
) -> list[Part]:
    """Return what can be made of the objects in a list; note the others in `lost`.

    Args:
        value: As for `objects_of`.
        name: As for `objects_of`.
        make: Makes a part of an object; may raise `RecordError`.
        lost: As for `objects_of`.
    """
    found: list[Part] = []
    for fields in objects_of(value, name, lost):
        try:
            found.append(make(fields))
        except RecordError as error:
            lost.append(f"{name}: {error}")
    return found


def hex_id(value: object, size: int) -> str:
    """Return an id in `size` lower-case hex digits; empty for an empty one or only zeros.

    An id that is not hexadecimal may be in base64, as JSON of protobuf has it.

    Raises:
        RecordError: It is not an id.

    >>> hex_id("0xAB", 4), hex_id("", 4), hex_id("0000", 4), hex_id("7uGbfsPBsXQ=", 16)
    ('00ab', '', '', 'eee19b7ec3c1b174')
    """
    text = str(value or "")
    match = _HEX.fullmatch(text)
    digits = match[1].lower().lstrip("0") if match is not None else _of_base64(text, size)
    if digits is None or len(digits) > size:
        raise RecordError(f"{text[:80]!r} is not an id", hint=f"An id has {size} hex digits.")
    return digits.zfill(size) if digits.strip("0") else ""


def _of_base64(text: str, size: int) -> str | None:
    """Return the hex digits of an id in base64; None if it is not one, empty without a text."""
    try:
        found = b64decode(text.translate(_URL_SAFE), validate=True)
    except ValueError:
        return None
    return found.hex() if len(found) * 2 in {0, size} else None


def link_of(trace_id: object, span_id: object, attributes: Mapping[str, object] = EMPTY) -> Link:
    """Return a link.

    Raises:
        RecordError: One of the two is missing, or not an id.
    """
    link = Link(hex_id(trace_id, 32), hex_id(span_id, 16), attributes)
    if not link.trace_id or not link.span_id:
        raise RecordError("it has no ids")
    return link


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


class Importer:
    """Makes records of spans: numbers them, and introduces the process of each resource.

    Args:
        source: Stands for the input. The ids of processes depend on it and on the resource, so
            records of two inputs differ, and those of one input are always the same.
    """

    def __init__(self, source: bytes = b"") -> None:
        self._source = source
        self._processes: dict[bytes, Process] = {}
        self._numbers: dict[str, int] = {}
        self._latest: tuple[Mapping[str, object], str, Process] | None = None

    def records_of(
        self, name: object, make: Callable[[], ImportedSpan], resource: Mapping[str, object]
    ) -> Iterator[Record | Rejected]:
        """Yield the start of a process that is new, the record of a span, and what is wrong.

        Args:
            name: The span's name, for what is wrong.
            make: Makes the span; may raise anything.
            resource: The resource of its process.
        """
        label = f"the span {name[:80]!r}" if isinstance(name, str) else "a span"
        try:
            span = make()
            records = self._records(span, self.process_of(resource))
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
            call_site=_call_site(span.attributes),
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
            first = [_start_of(process, start_ns)]
        self._numbers[process.id] = number = number + 1
        return [*first, record._replace(seq=number)]

    def process_of(self, resource: Mapping[str, object], kind: str = "") -> Process:
        """Return the process of a resource; processes of another kind are other ones."""
        latest = self._latest
        if latest is not None and latest[0] is resource and latest[1] == kind:
            return latest[2]  # the spans of one resource follow each other
        key = kind.encode() + _text_of(resource)
        found = self._processes.get(key)
        if found is None:
            digest = blake2b(self._source + key, digest_size=8).hexdigest()
            pid = whole_number(resource.get("process.pid"))
            host = str(resource.get("host.name") or "")
            found = Process(f"imported-{digest}", pid=pid, host=host, resource=dict(resource))
            self._processes[key] = found
        self._latest = resource, kind, found
        return found


def _text_of(resource: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a large number, half of a surrogate pair, or too deep
        return encode_object(dict(sorted(resource.items())))


def _start_of(process: Process, time_ns: int) -> Record:
    """Return the first record of a process, without what is only true of this one."""
    record = process_start_record(process, 1)
    facts = {name: value for name, value in record.extra.items() if name != "steady_ns"}
    return record._replace(time_ns=time_ns, call_site=UNKNOWN_CALL_SITE, extra=facts)


def _call_site(attributes: Mapping[str, object]) -> CallSite:
    file = attributes.get("code.file.path") or attributes.get("code.filepath")
    line = attributes.get("code.line.number") or attributes.get("code.lineno")
    function = attributes.get("code.function.name") or attributes.get("code.function")
    number = whole_number(line)
    if not isinstance(file, str) or not number:
        return UNKNOWN_CALL_SITE
    return CallSite(file, number, str(function or "<unknown>"))
