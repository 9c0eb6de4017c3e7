"""Reads what `ReadableSpan.to_json` of the SDK writes, as its console exporter prints it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from otel_ext.formats.read.imported import ImportedSpan
from otel_ext.formats.read.pieces import fields_of, hex_id, link_of, parts_of
from otel_ext.formats.read.times import time_in
from otel_ext.record.model import SpanEvent, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.imported import Importer, Rejected
    from otel_ext.formats.read.pieces import Fields
    from otel_ext.record.model import Link, Record

__all__ = ["is_sdk_span", "read_sdk_span"]


def is_sdk_span(document: Fields) -> bool:
    """Whether a JSON object is a span of the SDK."""
    return "context" in document and "start_time" in document


def read_sdk_span(document: Fields, importer: Importer) -> Iterator[Record | Rejected]:
    """Yield the records of a span, and what is wrong in it."""
    make = partial(_span, document)
    return importer.records_of(document.get("name"), make, _resource(document))


def _span(document: Fields) -> ImportedSpan:
    lost: list[str] = []
    context = fields_of(document.get("context"))
    end = document.get("end_time")
    return ImportedSpan(
        trace_id=hex_id(context.get("trace_id"), 32),
        span_id=hex_id(context.get("span_id"), 16),
        parent_span_id=hex_id(document.get("parent_id"), 16),
        name=str(document.get("name") or ""),
        start_ns=time_in(document.get("start_time"), "start"),
        end_ns=None if end is None else time_in(end, "end"),
        kind=str(document.get("kind") or "").rpartition(".")[2].lower(),
        attributes=fields_of(document.get("attributes")),
        status=_status(fields_of(document.get("status"))),
        events=parts_of(document.get("events"), "an event", _event, lost),
        links=parts_of(document.get("links"), "a link", _link, lost),
        lost=lost,
    )


def _event(event: Fields) -> SpanEvent:
    time_ns = time_in(event.get("timestamp"), "time")
    return SpanEvent(str(event.get("name") or ""), time_ns, fields_of(event.get("attributes")))


def _link(link: Fields) -> Link:
    context = fields_of(link.get("context"))
    attributes = fields_of(link.get("attributes"))
    return link_of(context.get("trace_id"), context.get("span_id"), attributes)


def _status(status: Fields) -> Status:
    code = str(status.get("status_code") or "").lower()
    known = code if code in {"ok", "error"} else "unset"
    return Status(known, str(status.get("description") or ""))


def _resource(document: Fields) -> Fields:
    resource = fields_of(document.get("resource"))
    return fields_of(resource.get("attributes")) or resource
