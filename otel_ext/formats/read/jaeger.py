"""Reads what Jaeger's UI and its query API write as JSON."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.formats.read.imported import ImportedSpan, Rejected
from otel_ext.formats.read.pieces import fields_of, hex_id, items_of, link_of, objects_of, parts_of
from otel_ext.formats.read.times import nanoseconds
from otel_ext.record.model import Scope, SpanEvent, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.imported import Importer
    from otel_ext.formats.read.pieces import Fields
    from otel_ext.record.model import Link, Record

__all__ = ["is_jaeger", "read_jaeger"]

_MICROSECOND: Final = 1_000
_PARENTS: Final = ("CHILD_OF", "FOLLOWS_FROM")


def is_jaeger(document: Fields) -> bool:
    """Whether a JSON object has traces of Jaeger."""
    traces = items_of(document.get("data")) or [document]
    return any("spans" in trace and "processes" in trace for trace in map(fields_of, traces))


def read_jaeger(document: Fields, importer: Importer) -> Iterator[Record | Rejected]:
    """Yield the records of the spans in a document, and what is wrong in it."""
    lost: list[str] = []
    for trace in objects_of(document.get("data") or [document], "data", lost):
        processes = fields_of(trace.get("processes"))
        resources: dict[str, Fields] = {}
        for span in objects_of(trace.get("spans"), "spans", lost):
            process = str(span.get("processID"))
            if process not in resources:
                resources[process] = _resource(fields_of(processes.get(process)))
            make = partial(_span, span)
            yield from importer.records_of(span.get("operationName"), make, resources[process])
    yield from map(Rejected, lost)


def _resource(process: Fields) -> Fields:
    resource = _tags(process.get("tags"))
    if process.get("serviceName"):
        resource["service.name"] = str(process["serviceName"])
    return resource


def _span(span: Fields) -> ImportedSpan:
    lost: list[str] = []
    tags = _tags(span.get("tags"))
    trace_id = hex_id(span.get("traceID"), 32)
    start = nanoseconds(span.get("startTime"), _MICROSECOND, "startTime")
    parent, links = _references(span, trace_id, lost)
    scope = str(tags.pop("otel.scope.name", tags.pop("otel.library.name", "")))
    kind = str(tags.pop("span.kind", "internal"))
    return ImportedSpan(
        trace_id=trace_id,
        span_id=hex_id(span.get("spanID"), 16),
        parent_span_id=parent,
        name=str(span.get("operationName") or ""),
        start_ns=start,
        end_ns=start + nanoseconds(span.get("duration"), _MICROSECOND, "duration"),
        kind=kind,
        status=_status(tags),
        attributes=tags,
        events=parts_of(span.get("logs"), "a log", _event, lost),
        links=links,
        scope=Scope(scope) if scope else None,
        lost=lost,
    )


def _references(span: Fields, trace_id: str, lost: list[str]) -> tuple[str, list[Link]]:
    """Return the parent and the links.

    The parent is chosen as by Jaeger: the first span of the same trace that this one is a child
    of, else the first that it follows from.
    """
    found = parts_of(span.get("references"), "a reference", _reference, lost)
    parent = hex_id(span.get("parentSpanID"), 16)
    for kind in _PARENTS:
        for type_, link in found:
            if not parent and type_ == kind and link.trace_id == trace_id:
                parent = link.span_id
    return parent, [
        link for _, link in found if (link.trace_id, link.span_id) != (trace_id, parent)
    ]


def _reference(reference: Fields) -> tuple[str, Link]:
    link = link_of(reference.get("traceID"), reference.get("spanID"))
    return str(reference.get("refType")), link


def _status(tags: dict[str, object]) -> Status:
    code = str(tags.pop("otel.status_code", "")).lower()
    description = str(tags.pop("otel.status_description", ""))
    if code in {"ok", "error"}:
        return Status(code, description)
    error = tags.get("error")
    return Status("error" if error is True or error == "true" else "unset", description)


def _event(log: Fields) -> SpanEvent:
    fields = _tags(log.get("fields"))
    name = str(fields.pop("event", "") or "log")
    return SpanEvent(name, nanoseconds(log.get("timestamp"), _MICROSECOND, "timestamp"), fields)


def _tags(tags: object) -> dict[str, object]:
    return {str(tag.get("key")): tag.get("value") for tag in map(fields_of, items_of(tags))}
