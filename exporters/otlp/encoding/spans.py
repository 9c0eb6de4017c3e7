"""Turns records into spans for the stock exporters, and caches what these spans share.

This runs for each record on the sending thread, so speed matters: shared resources and
scopes are created once, and so is their hash, which the stock encoder computes for
every span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_ext.exporters.otlp.encoding.values import ByteBudget, clean_attributes, clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import Attributes

    from otel_ext.record.model import Process, Record
    from otel_ext.record.model import Scope as RecordScope
    from otel_ext.record.model import Status as RecordStatus

__all__ = ["Origins", "span_of"]

_MAX_KNOWN: Final = 1_024
# Bytes of a resource, which is part of each request beside the records.
_RESOURCE: Final = 256 * 1024
_PLAIN_NAME: Final = 1_024
# Bytes of an event or link without its attributes.
_PART: Final = 64
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_CODES: Final = {code.name.lower(): code for code in StatusCode}
_UNSET: Final = Status(StatusCode.UNSET)
_OK: Final = Status(StatusCode.OK)


class _Ids(NamedTuple):
    """The part of a span context that the encoder reads; a real one costs four times as much."""

    trace_id: int
    span_id: int
    is_remote: bool = False
    trace_flags: TraceFlags = _SAMPLED
    trace_state: None = None


class _CachedHash:
    """Caches the hash, which the SDK computes each time from everything in the object."""

    _made = 0

    def __hash__(self) -> int:
        self._made = self._made or super().__hash__()
        return self._made

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)


class _SharedResource(_CachedHash, Resource):
    """A resource that caches its hash."""


class _SharedScope(_CachedHash, InstrumentationScope):
    """A scope that caches its hash."""


class Origins:
    """Caches the SDK's resources and scopes, which many spans share."""

    def __init__(self) -> None:
        self._resources: dict[str, Resource] = {}
        self._scopes: dict[str, InstrumentationScope] = {}

    def resource(self, process: Process) -> Resource:
        """Return the resource of `process`, always the same object."""
        found = self._resources.get(process.id)
        if found is None:
            if len(self._resources) >= _MAX_KNOWN:
                self._resources.clear()
            attributes = cast(
                "Attributes", clean_attributes(process.resource, ByteBudget(_RESOURCE))
            )
            found = self._resources[process.id] = _SharedResource(attributes or {})
        return found

    def scope(self, scope: RecordScope | None) -> InstrumentationScope | None:
        """Return the SDK's scope for `scope`, always the same object."""
        if scope is None:
            return None
        found = self._scopes.get(scope.fragment)
        if found is None:
            if len(self._scopes) >= _MAX_KNOWN:
                self._scopes.clear()
            name, version = clean_text(scope.name), clean_text(scope.version)
            found = self._scopes[scope.fragment] = _SharedScope(name, version or None)
        return found


def span_of(record: Record, origins: Origins, *, ended: bool = True) -> ReadableSpan:
    """Return the span that `record` describes.

    Args:
        record: A record of a span; `start_ns` is its start.
        origins: The cache of resources and scopes.
        ended: Whether the time of the record is the end of the span.
    """
    trace_id = int(record.trace_id, 16)
    parent = record.parent_span_id
    name = record.name
    events, links = record.events, record.links
    budget = ByteBudget() if events or links else None
    return ReadableSpan(
        name=name if name.isascii() and len(name) < _PLAIN_NAME else clean_text(name),
        context=_context(trace_id, record.span_id),
        parent=_context(trace_id, parent) if parent else None,
        resource=origins.resource(record.process),
        attributes=cast("Attributes", clean_attributes(record.attributes, budget)),
        events=_events(record, budget) if budget is not None and events else (),
        links=_links(record, budget) if budget is not None and links else (),
        kind=_KINDS.get(record.span_kind, SpanKind.INTERNAL),
        status=_status(record.status),
        start_time=record.start_ns,
        end_time=record.time_ns if ended else None,
        instrumentation_scope=origins.scope(record.scope),
    )


def _context(trace_id: int, span_id: str) -> SpanContext:
    return cast("SpanContext", _Ids(trace_id, int(span_id, 16)))


def _events(record: Record, budget: ByteBudget) -> list[Event]:
    return [
        Event(
            clean_text(event.name, budget.text_limit),
            _attributes(event.attributes, budget),
            event.time_ns,
        )
        for event in record.events
        if budget.take(_PART + len(event.name))
    ]


def _links(record: Record, budget: ByteBudget) -> list[Link]:
    return [
        Link(_context(int(link.trace_id, 16), link.span_id), _attributes(link.attributes, budget))
        for link in record.links
        if budget.take(_PART)
    ]


def _attributes(attributes: Mapping[str, object], budget: ByteBudget) -> Attributes:
    return cast("Attributes", clean_attributes(attributes, budget))


def _status(status: RecordStatus | None) -> Status:
    code = _CODES.get(status.code, StatusCode.UNSET) if status is not None else StatusCode.UNSET
    if status is None or code is StatusCode.UNSET:
        return _UNSET
    if code is StatusCode.OK:
        return _OK
    # With any other code the SDK warns about a description, and drops it.
    return Status(code, clean_text(status.description) or None)
