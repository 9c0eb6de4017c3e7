"""Reads OTLP/JSON, such as the lines of the Collector's file exporter.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.errors import RecordError
from otel_ext.exporters.otlp.encoding.spans import PROCESS_KEY
from otel_ext.formats.read.imported import ImportedSpan, Rejected
from otel_ext.formats.read.otlp_values import otlp_attributes, otlp_field
from otel_ext.formats.read.pieces import fields_of, hex_id, link_of, objects_of, parts_of
from otel_ext.formats.read.times import nanoseconds
from otel_ext.record.model import (
    ABANDONED_CAUSES,
    SPAN_KINDS,
    STATUS_CODES,
    Scope,
    SpanEvent,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.formats.read.imported import Importer
    from otel_ext.formats.read.pieces import Fields
    from otel_ext.record.model import Abandoned, Link, Record

__all__ = ["OTLP_KINDS", "is_otlp", "read_otlp", "take_cause"]

OTLP_KINDS: Final = ("internal", *SPAN_KINDS)
"""The kinds of spans, indexed by OTLP's numbers; the first is for an unspecified one."""


_ABANDONED: Final = "otel_ext.abandoned"


def is_otlp(document: Fields) -> bool:
    """Whether a JSON object is a request with spans."""
    return "resourceSpans" in document or "resource_spans" in document


def read_otlp(document: Fields, importer: Importer) -> Iterator[Record | Rejected]:
    """Yield the records of the spans in a request, and what is wrong in it.

    Args:
        document: The request.
        importer: Numbers the records. Spans that otel-ext has sent name their process, for one
            that keeps it.
    """
    lost: list[str] = []
    for of_resource in objects_of(otlp_field(document, "resourceSpans"), "resourceSpans", lost):
        resource = otlp_attributes(fields_of(of_resource.get("resource")))
        for of_scope in _scopes(of_resource, lost):
            # The second name is the one before OTLP 0.19.
            scope = fields_of(
                of_scope.get("scope") or otlp_field(of_scope, "instrumentationLibrary")
            )
            name, version = str(scope.get("name") or ""), str(scope.get("version") or "")
            made_by = Scope(name, version) if name else None
            process = otlp_attributes(scope).get(PROCESS_KEY)
            for span in objects_of(of_scope.get("spans"), "spans", lost):
                make = partial(_span, span, made_by)
                yield from importer.records_of(span.get("name"), make, resource, process)
    yield from map(Rejected, lost)


def _scopes(of_resource: Fields, lost: list[str]) -> Iterator[Fields]:
    for name in ("scopeSpans", "instrumentationLibrarySpans"):
        yield from objects_of(otlp_field(of_resource, name), name, lost)


def _span(span: Fields, scope: Scope | None) -> ImportedSpan:
    lost: list[str] = []
    status = fields_of(span.get("status"))
    # In protobuf, 0 is the same as none.
    start = nanoseconds(otlp_field(span, "startTimeUnixNano"), 1, "start")
    if not start:
        raise RecordError("it has no start")
    end = otlp_field(span, "endTimeUnixNano")
    end_ns = None if end is None else nanoseconds(end, 1, "end") or None
    attributes = otlp_attributes(span)
    abandoned = None if end_ns is None else take_cause(attributes)
    return ImportedSpan(
        trace_id=hex_id(otlp_field(span, "traceId"), 32),
        span_id=hex_id(otlp_field(span, "spanId"), 16),
        parent_span_id=hex_id(otlp_field(span, "parentSpanId"), 16),
        name=str(span.get("name") or ""),
        start_ns=start,
        end_ns=end_ns,
        kind=_choice(span.get("kind"), OTLP_KINDS, "SPAN_KIND_"),
        attributes=attributes,
        status=Status(
            _choice(status.get("code"), STATUS_CODES, "STATUS_CODE_"),
            str(status.get("message") or ""),
        ),
        events=parts_of(span.get("events"), "an event", _event, lost),
        links=parts_of(span.get("links"), "a link", _link, lost),
        scope=scope,
        abandoned=abandoned,
        lost=lost,
    )


def take_cause(attributes: dict[str, object]) -> Abandoned | None:
    """Remove and return the cause that `to_otlp_json` has written; None without one."""
    for cause in ABANDONED_CAUSES:
        if attributes.get(_ABANDONED) == cause:
            del attributes[_ABANDONED]
            return cause
    return None


def _event(event: Fields) -> SpanEvent:
    time_ns = nanoseconds(otlp_field(event, "timeUnixNano"), 1, "time")
    return SpanEvent(str(event.get("name") or ""), time_ns, otlp_attributes(event))


def _link(link: Fields) -> Link:
    return link_of(otlp_field(link, "traceId"), otlp_field(link, "spanId"), otlp_attributes(link))


def _choice(value: object, choices: tuple[str, ...], prefix: str) -> str:
    """Return an enumerated value, which is a number or a name."""
    if type(value) is int and 0 <= value < len(choices):
        return choices[value]
    name = str(value or "").removeprefix(prefix).lower()
    return name if name in choices else choices[0]
