"""Encodes a record as one line of JSON (the format: docs/record-format.md).

A line is assembled from pieces: what never changes is a constant, shared parts (call
site, thread, scope) carry their own JSON, and the user's data is encoded in one call
and appended to the metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_ext._accel import choose, configure
from otel_ext.record.model import META_KEY, UNSET_STATUS, Link, PlainAttributes, Record, SpanEvent
from otel_ext.record.sanitise.sanitiser import PLAIN, sanitised
from otel_ext.record.sanitise.values import MAX_LINE_BYTES, encode_object, encode_plain, encode_text
from otel_ext.record.timestamps import format_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Status

__all__ = ["encode_compat_line", "encode_line", "encode_line_python"]

Encoder: TypeAlias = Callable[[Record], bytes]

_HEAD: Final = f'{{"{META_KEY}":{{'
_TIMESTAMP: Final = slice(len(_HEAD), len(_HEAD) + len('"timestamp":"2026-01-01T00:00:00.000000Z"'))
_SPAN_START: Final = ',"provisional":true,"version":2,"kind":"span","phase":"start","seq":'
_SPAN_UPDATE: Final = ',"provisional":true,"version":2,"kind":"span","phase":"update","seq":'
_SPAN_END: Final = ',"version":2,"kind":"span","phase":"end","seq":'
_SPAN: Final = {"start": _SPAN_START, "update": _SPAN_UPDATE, "end": _SPAN_END}
# Leaves room for the timestamp that compat mode adds.
_MAX_BYTES: Final = MAX_LINE_BYTES - 64
_MAX_NS: Final = 2**63 - 1
_MAX_NAMES: Final = 4_096
_MAX_NAME: Final = 256

_names: dict[str, str] = {}


def _name_fragment(name: str) -> str:
    """Return `name` as JSON without the closing quote; cached, since names recur."""
    found = _names.get(name) if type(name) is str else None
    if found is None:
        found = encode_text(name).decode()[:-1]
        if type(name) is str and len(name) <= _MAX_NAME:
            if len(_names) >= _MAX_NAMES:
                _names.clear()
            _names[name] = found
    return found


def encode_line_python(record: Record) -> bytes:
    r"""Return `record` as one line of JSON in UTF-8, its newline included.

    The metadata comes first, then the user's keys in their own order. Never
    longer than `MAX_LINE_BYTES`. A record that is not sanitised yet is sanitised first.

    >>> from otel_ext.record.model import Process, Record
    >>> process = Process("b00t-7-1-aa")
    >>> record = Record("event", None, "deployed", 0, 1, process, attributes={"to": "eu"})
    >>> encode_line_python(record).endswith(b'"process":"b00t-7-1-aa"},"to":"eu"}\n')
    True
    """
    record = sanitised(record)
    try:
        return _encoded(record)
    except (TypeError, ValueError):  # an exporter has put other values into it
        return _encoded(PLAIN.make_safe(record))


def _encoded(record: Record) -> bytes:
    attributes = record.attributes
    meta = _span_meta(record) if record.kind == "span" else _other_meta(record)
    if not attributes:
        return f"{meta}}}}}\n".encode()
    head = f"{meta}}},".encode()
    return head + _encode_attributes(attributes, _MAX_BYTES - len(head))[1:] + b"\n"


def _encode_attributes(attributes: Mapping[str, object], room: int) -> bytes:
    """Return the user's data as an object, cut if the metadata leaves little room."""
    encoded = encode_plain(attributes)
    return encoded if len(encoded) <= room else encode_object(attributes, room)


def _span_meta(record: Record) -> str:
    phase = record.phase or "start"
    parent = record.parent_span_id
    scope = record.scope
    thread = record.thread
    text = (
        f'{_HEAD}"timestamp":"{format_ns(record.time_ns)}",'
        f'"event":{_name_fragment(record.name)}.{phase}",'
        f'"trace_id":"{record.trace_id}","span_id":"{record.span_id}",'
        f"{record.call_site.fragment}{_SPAN[phase]}{record.seq},"
        f'"process":"{record.process.id}"'
    )
    if parent:
        text += f',"parent_span_id":"{parent}"'
    if record.span_kind:
        text += f',"span_kind":"{record.span_kind}"'
    if scope is not None:
        text += f',"scope":{scope.fragment}'
    if record.links:
        text += f',"links":{_encode_links(record.links)}'
    if thread is not None:
        text += f',"thread":{thread.fragment}'
    if record.task is not None:
        text += f',"task":{record.task.fragment}'
    if record.context is not None:
        text += f",{record.context.fragment}"
    if phase == "end":
        text += _end_meta(record)
    return text + _extra_meta(record) if record.extra else text


def _end_meta(record: Record) -> str:
    # A user may set any times; the duration stays within 64 bits.
    duration = min(max(record.time_ns - record.start_ns, -_MAX_NS), _MAX_NS)
    text = (
        f',"start":"{format_ns(record.start_ns)}"'
        f',"duration_ns":{duration}'
        f',"status":{_encode_status(record.status)}'
    )
    if record.events:
        text += f',"events":{_encode_events(record.events)}'
    if record.abandoned is not None:
        text += f',"abandoned":"{record.abandoned}"'
    return text


def _other_meta(record: Record) -> str:
    time = format_ns(record.time_ns)
    text = f'{_HEAD}"timestamp":"{time}","event":{_name_fragment(record.name)}"'
    if record.trace_id:
        text += f',"trace_id":"{record.trace_id}","span_id":"{record.span_id}"'
    text += (
        f',{record.call_site.fragment},"version":2,"kind":"{record.kind}","seq":{record.seq}'
        f',"process":"{record.process.id}"'
    )
    if record.thread is not None:
        text += f',"thread":{record.thread.fragment}'
    if record.task is not None:
        text += f',"task":{record.task.fragment}'
    if record.level:
        text += f',"level":{_name_fragment(record.level)}"'
    if record.logger:
        text += f',"logger":{_name_fragment(record.logger)}"'
    return text + _extra_meta(record) if record.extra else text


def _extra_meta(record: Record) -> str:
    return "," + encode_plain(record.extra)[1:-1].decode()


def _encode_status(status: Status | None) -> str:
    if status is None:
        return '{"code":"unset"}'
    if not status.description:
        return f'{{"code":"{status.code}"}}'
    description = encode_text(status.description).decode()
    return f'{{"code":"{status.code}","description":{description}}}'


def _encode_links(links: tuple[Link, ...]) -> str:
    return f"[{','.join(map(_encode_link, links))}]"


def _encode_link(link: Link) -> str:
    facts = "" if link.context is None else f",{link.context.fragment}"
    inner = _inner(link.attributes, link.dropped)
    return f'{{"trace_id":"{link.trace_id}","span_id":"{link.span_id}"{facts}{inner}}}'


def _encode_events(events: tuple[SpanEvent, ...]) -> str:
    return f"[{','.join(map(_encode_event, events))}]"


def _encode_event(event: SpanEvent) -> str:
    name = _name_fragment(event.name)
    inner = _inner(event.attributes, event.dropped)
    return f'{{"name":{name}","timestamp":"{format_ns(event.time_ns)}"{inner}}}'


def _inner(attributes: Mapping[str, object], dropped: int) -> str:
    text = f',"dropped":{dropped}' if dropped else ""
    return f'{text},"attributes":{encode_plain(attributes).decode()}' if attributes else text


configure(
    "configure",
    record_type=Record,
    attributes_type=PlainAttributes,
    encode_line=encode_line_python,
    encode_object=_encode_attributes,
    name_fragment=_name_fragment,
    encode_status=_encode_status,
    encode_links=_encode_links,
    encode_events=_encode_events,
    meta_key=META_KEY,
    unset_status=UNSET_STATUS,
)
encode_line: Final[Encoder] = choose("encode_line", encode_line_python)
"""Encodes one record: the compiled function if it was built, else `encode_line_python`."""


def encode_compat_line(record: Record) -> bytes:
    """Return the line of `encode_line` with the timestamp at top level as well.

    If the user's data has a `timestamp`, nothing is added.
    """
    line = encode_line(record)
    if "timestamp" in record.attributes:
        return line
    return b"{%b,%b" % (line[_TIMESTAMP], line[1:])
