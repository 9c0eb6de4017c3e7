"""Reads OTLP/JSON, such as the lines of the Collector's file exporter.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from otel_ext.errors import RecordError
from otel_ext.formats.read.imported import (
    ImportedSpan,
    Rejected,
    fields_of,
    hex_id,
    items_of,
    link_of,
    objects_of,
    parts_of,
)
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

    from otel_ext.formats.read.imported import Fields, Importer
    from otel_ext.record.model import Abandoned, Link, Record

__all__ = ["is_otlp", "read_otlp"]

_KINDS: Final = ("internal", *SPAN_KINDS)  # the first is for an unspecified one
_INTEGER: Final = re.compile(r"-?\d{1,20}", re.ASCII)
_DEEPEST: Final = 32
# The attribute of an abandoned span, which has its cause.
_ABANDONED: Final = "otel_ext.abandoned"


def is_otlp(document: Fields) -> bool:
    """Whether a JSON object is a request with spans."""
    return "resourceSpans" in document or "resource_spans" in document


def read_otlp(document: Fields, importer: Importer) -> Iterator[Record | Rejected]:
    """Yield the records of the spans in a request, and what is wrong in it."""
    lost: list[str] = []
    for of_resource in objects_of(_get(document, "resourceSpans"), "resourceSpans", lost):
        resource = _attributes(fields_of(of_resource.get("resource")))
        for of_scope in _scopes(of_resource, lost):
            # The second name is the one before OTLP 0.19.
            scope = fields_of(of_scope.get("scope") or _get(of_scope, "instrumentationLibrary"))
            name, version = str(scope.get("name") or ""), str(scope.get("version") or "")
            made_by = Scope(name, version) if name else None
            for span in objects_of(of_scope.get("spans"), "spans", lost):
                make = partial(_span, span, made_by)
                yield from importer.records_of(span.get("name"), make, resource)
    yield from map(Rejected, lost)


def _scopes(of_resource: Fields, lost: list[str]) -> Iterator[Fields]:
    for name in ("scopeSpans", "instrumentationLibrarySpans"):
        yield from objects_of(_get(of_resource, name), name, lost)


def _get(fields: Fields, name: str) -> object:
    """Return a field by its name in JSON, or by that in protobuf, which is allowed too."""
    if name in fields:
        return fields[name]
    return fields.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def _span(span: Fields, scope: Scope | None) -> ImportedSpan:
    lost: list[str] = []
    status = fields_of(span.get("status"))
    # In protobuf, 0 is the same as none.
    start = nanoseconds(_get(span, "startTimeUnixNano"), 1, "start")
    if not start:
        raise RecordError("it has no start")
    end = _get(span, "endTimeUnixNano")
    end_ns = None if end is None else nanoseconds(end, 1, "end") or None
    attributes = _attributes(span)
    abandoned = None if end_ns is None else _take_cause(attributes)
    return ImportedSpan(
        trace_id=hex_id(_get(span, "traceId"), 32),
        span_id=hex_id(_get(span, "spanId"), 16),
        parent_span_id=hex_id(_get(span, "parentSpanId"), 16),
        name=str(span.get("name") or ""),
        start_ns=start,
        end_ns=end_ns,
        kind=_choice(span.get("kind"), _KINDS, "SPAN_KIND_"),
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


def _take_cause(attributes: dict[str, object]) -> Abandoned | None:
    """Remove and return the cause that `to_otlp_json` has written; else None."""
    for cause in ABANDONED_CAUSES:
        if attributes.get(_ABANDONED) == cause:
            del attributes[_ABANDONED]
            return cause
    return None


def _event(event: Fields) -> SpanEvent:
    time_ns = nanoseconds(_get(event, "timeUnixNano"), 1, "time")
    return SpanEvent(str(event.get("name") or ""), time_ns, _attributes(event))


def _link(link: Fields) -> Link:
    return link_of(_get(link, "traceId"), _get(link, "spanId"), _attributes(link))


def _choice(value: object, choices: tuple[str, ...], prefix: str) -> str:
    """Return an enumerated value, which is a number or a name."""
    if type(value) is int and 0 <= value < len(choices):
        return choices[value]
    name = str(value or "").removeprefix(prefix).lower()
    return name if name in choices else choices[0]


def _attributes(owner: Fields) -> dict[str, object]:
    pairs = map(fields_of, items_of(owner.get("attributes")))
    return {str(pair.get("key")): _value(fields_of(pair.get("value")), 0) for pair in pairs}


def _value(value: Fields, depth: int) -> object:
    for kind, found in value.items():
        name = kind.replace("_", "").lower()
        if name == "intvalue" and isinstance(found, str) and _INTEGER.fullmatch(found):
            return int(found)
        if name == "arrayvalue":
            items = map(fields_of, items_of(fields_of(found).get("values")))
            return [_value(item, depth + 1) for item in items] if depth < _DEEPEST else []
        if name == "kvlistvalue":
            pairs = map(fields_of, items_of(fields_of(found).get("values")))
            return {
                str(pair.get("key")): _value(fields_of(pair.get("value")), depth + 1)
                for pair in (pairs if depth < _DEEPEST else ())
            }
        return found
    return None
