"""Decodes the log records that otel-ext's exporter makes of its records: the records again.

The other way is `otel_ext.exporters.otlp.encoding.logs`. What is missing or has another type, since
something between has changed it, is taken for what it is: the log record of a program.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, cast

from otel_ext.exporters.otlp.encoding.logs import ORIGIN
from otel_ext.formats.read.imported import is_process_id
from otel_ext.formats.read.pieces import fields_of, items_of
from otel_ext.record.decode import READ_KEYS
from otel_ext.record.model import (
    ABANDONED_CAUSES,
    EMPTY,
    SPAN_KINDS,
    UNKNOWN_CALL_SITE,
    UNSET_STATUS,
    CallSite,
    Link,
    Record,
    TaskInfo,
    ThreadInfo,
)
from otel_ext.record.schema.rules import SHAPES, shape_of
from otel_ext.record.schema.tolerant import are_valid
from otel_ext.runtime.process.records import PROCESS_START, whole_number
from otel_ext.server.ingest.otlp.log_records import keep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.record.model import Kind, Phase, Process, Scope
    from otel_ext.server.ingest.otlp.received import Received

__all__ = ["own_process_id", "own_record"]

_PREFIX: Final = "otel_ext."
# Metadata that other fields of the record hold.
_FIELDS: Final = READ_KEYS | {"resource"}
_OWN: Final = frozenset(
    f"{_PREFIX}{name}"
    for name in (
        *("kind", "process", "seq", "logger", "phase", "provisional", "abandoned", "start_ns"),
        *("span.name", "span.kind", "span.parent_id", "span.links", "span.link_attributes"),
        *("task.id", "task.name"),
    )
)
_LINK: Final = re.compile("(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})")


def own_process_id(received: Received) -> str:
    """Return the id of the process that has made a record of otel-ext; empty for other ones."""
    found = received.attributes.get("otel_ext.process")
    kind = _text(received.attributes, "otel_ext.kind")
    is_own = received.event_name.startswith(_PREFIX) and are_valid({"kind": kind})
    return found if is_own and is_process_id(found) else ""


def own_record(received: Received, process: Process, scope: Scope | None) -> Record | None:
    """Return the record that otel-ext has sent as a log record; None if it cannot be one.

    Args:
        received: The log record, of a process that `own_process_id` has found.
        process: The process, with the resource.
        scope: The scope of a span.
    """
    fields = received.attributes
    kind, phase = cast("Kind", fields["otel_ext.kind"]), _text(fields, "otel_ext.phase")
    body = received.body
    file, line, function, thread_id, thread_name = _origin(fields)
    has_ids = received.has_ids
    if not isinstance(body, str) or (
        kind == "span" and not (has_ids and are_valid({"phase": phase}))
    ):
        return None
    record = Record(
        kind=kind,
        phase=None,
        name=body,
        time_ns=received.time_ns,
        seq=whole_number(fields.get("otel_ext.seq")),
        process=process,
        call_site=_call_site(file, line, function),
        trace_id=received.trace_id if has_ids else "",
        span_id=received.span_id if has_ids else "",
        thread=_thread(thread_id, thread_name),
        task=_task(fields),
        level=received.severity_text if kind == "log" else "",
        logger=_text(fields, "otel_ext.logger") if kind == "log" else "",
    )
    if kind == "span":
        record = _as_span(record, cast("Phase", phase), fields, scope)
    extra = _extra(record, fields)
    if extra is None:
        return None
    attributes = _users(fields, extra)
    keep(attributes, {} if has_ids else received.ids)
    return record._replace(extra=extra, attributes=attributes)


def _as_span(
    record: Record, phase: Phase, fields: Mapping[str, object], scope: Scope | None
) -> Record:
    kind, parent = _text(fields, "otel_ext.span.kind"), _text(fields, "otel_ext.span.parent_id")
    record = record._replace(
        phase=phase,
        name=_text(fields, "otel_ext.span.name"),
        span_kind=kind if kind in SPAN_KINDS else "",
        parent_span_id=parent if are_valid({"parent_span_id": parent}) else "",
        scope=scope,
        links=_links(fields),
    )
    if phase != "end":
        return record
    cause = fields.get("otel_ext.abandoned")
    return record._replace(
        start_ns=whole_number(fields.get("otel_ext.start_ns")),
        status=UNSET_STATUS,
        abandoned=cause if cause in ABANDONED_CAUSES else None,
    )


def _extra(record: Record, fields: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the metadata that only some records have; None if some that it must have is missing.

    What is not allowed in such a record is an attribute of the user's.
    """
    meta = {"kind": record.kind, "phase": record.phase, "event": record.event}
    shape = SHAPES.get(shape_of(meta | ({"abandoned": ""} if record.abandoned else {})) or "")
    if shape is None:
        return None
    found: dict[str, object] = {}
    for key in shape.allowed - _FIELDS:
        value = fields.get(f"{_PREFIX}{key}")
        if value is not None and are_valid({key: value}):
            found[key] = value
    if record.name == PROCESS_START and record.kind == "process":
        found["resource"] = dict(record.process.resource)
    return (found or EMPTY) if shape.required - _FIELDS <= found.keys() else None


def _users(fields: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes that are not ours."""
    ours = {f"{_PREFIX}{key}" for key in extra} | _OWN
    for key in ORIGIN:
        other = f"{_PREFIX}{key}"
        ours.add(other if other in fields else key)
    return {key: value for key, value in fields.items() if key not in ours}


def _origin(fields: Mapping[str, object]) -> list[object]:
    """Return what we know under OpenTelemetry's names, which the user may have set too."""
    return [fields.get(f"{_PREFIX}{key}", fields.get(key)) for key in ORIGIN]


def _call_site(file: object, line: object, function: object) -> CallSite:
    if not isinstance(file, str) or not isinstance(function, str):
        return UNKNOWN_CALL_SITE
    return CallSite(file, whole_number(line), function)


def _thread(number: object, name: object) -> ThreadInfo | None:
    return ThreadInfo(number, name) if type(number) is int and isinstance(name, str) else None


def _task(fields: Mapping[str, object]) -> TaskInfo | None:
    number, name = fields.get("otel_ext.task.id"), _text(fields, "otel_ext.task.name")
    return None if number is None and not name else TaskInfo(whole_number(number), name)


def _links(fields: Mapping[str, object]) -> tuple[Link, ...]:
    found: list[Link] = []
    texts = items_of(fields.get("otel_ext.span.links"))
    attributes = items_of(fields.get("otel_ext.span.link_attributes"))
    for text, own in zip_longest(texts, attributes[: len(texts)]):
        match = _LINK.fullmatch(text) if isinstance(text, str) else None
        if match is not None:
            found.append(Link(match[1], match[2], fields_of(own)))
    return tuple(found)


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
