"""Adapters between our exporters and the SDK's, in both directions.

::

    span ─► BatchSpanProcessor ─► RecordSpanExporter ─► one of our exporters
    span ─► LifecycleSpanProcessor ─► StockSpanExporterAdapter ─► any SpanExporter
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from otel_ext.record.call_site import call_site_from_attributes
from otel_ext.record.capture import capture_end
from otel_ext.record.model import UNKNOWN_CALL_SITE
from otel_ext.record.sanitise.sanitiser import sanitiser_for
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.deadline import EXIT_SECONDS
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.isolated import IsolatedThread
from otel_ext.runtime.process import incarnation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.util.types import Attributes

    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Process, Record, TraceContext
    from otel_ext.record.model import Scope as RecordScope
    from otel_ext.record.model import Status as RecordStatus

__all__ = ["RecordSpanExporter", "StockSpanExporterAdapter", "span_from_record"]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_CODES: Final = {code.name.lower(): code for code in StatusCode}
_MAX_RESOURCES: Final = 64


class RecordSpanExporter(SpanExporter):
    """A `SpanExporter` that turns ended spans into final records for `exporter`.

    For a `BatchSpanProcessor` or `SimpleSpanProcessor`. These see only ended spans, so
    there are no start records. Call site, thread and task are unknown on a batching
    thread and left out; `code.*` attributes are still used.

    Args:
        exporter: Where the records go.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    >>> from otel_ext.exporters import ConsoleExporter
    >>> provider = TracerProvider()
    >>> exporter = RecordSpanExporter(ConsoleExporter())
    >>> provider.add_span_processor(SimpleSpanProcessor(exporter))
    """

    def __init__(self, exporter: RecordExporter) -> None:
        self._exporter = exporter
        self._sanitise = sanitiser_for(exporter).sanitise
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export each span's final record; a span that fails does not affect the others."""
        if self._closed:
            return SpanExportResult.FAILURE
        result = SpanExportResult.SUCCESS
        current = incarnation.current()
        for span in spans:
            try:
                process = current.process_for(span.resource)
                record = capture_end(span, process, current.next_seq(), None)
                call_site = call_site_from_attributes(record.attributes) or UNKNOWN_CALL_SITE
                record = record._replace(call_site=call_site, thread=None, task=None)
                self._exporter.export(self._sanitise(record))
            except Exception as error:  # noqa: BLE001 - the other spans must be exported
                COUNTERS.add("stock.failed")
                report_problem("RecordSpanExporter: a span is lost", error)
                result = SpanExportResult.FAILURE
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush `exporter`; whether that was done in time."""
        try:
            return self._exporter.force_flush(timeout_millis)
        except Exception as error:  # noqa: BLE001 - the SDK would not catch it
            report_problem("RecordSpanExporter: flush failed", error)
            return False

    def shutdown(self) -> None:
        """Shut `exporter` down. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._exporter.shutdown()
        except Exception as error:  # noqa: BLE001 - the SDK would not catch it
            report_problem("RecordSpanExporter: shutdown failed", error)


class StockSpanExporterAdapter:
    """Passes final records, as spans, to any `SpanExporter` of the SDK or a vendor.

    The spans go through a stock `BatchSpanProcessor`, so its queue, its thread and
    its `OTEL_BSP_*` variables apply. Only ended spans are passed on: for a stock
    exporter a span without an end is an error.

    A record has no trace flags beyond "sampled", no trace state, no schema URLs, and
    no flag for a remote parent; neither have the spans.

    Args:
        exporter: The stock exporter.
        shutdown_seconds: How long `shutdown` waits for it.

    >>> from opentelemetry.sdk.trace.export import ConsoleSpanExporter
    >>> adapter = StockSpanExporterAdapter(ConsoleSpanExporter())
    >>> adapter.force_flush(1_000)
    True
    >>> adapter.shutdown()
    """

    never_waits = True

    def __init__(self, exporter: SpanExporter, *, shutdown_seconds: float = EXIT_SECONDS) -> None:
        self._batch = BatchSpanProcessor(exporter)
        where = f"StockSpanExporterAdapter: {type(exporter).__name__}"
        self._calls = IsolatedThread(where, stays=False)
        self._shutdown_seconds = shutdown_seconds
        self._resources: dict[str, Resource] = {}
        self._closed = False

    def export(self, record: Record) -> None:
        """Queue the span of a final record; ignore other records."""
        if record.phase != "end":
            return
        if self._closed:
            COUNTERS.add("stock.closed")
            return
        self._batch.on_end(span_from_record(record, self._resource(record.process)))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is queued; whether that was done in time.

        The SDK's own flush has no time limit (opentelemetry-python#4568), so it
        runs on a thread, which is abandoned after the timeout.
        """
        if self._closed:
            return True
        ticket = self._calls.submit_alone(self._batch.force_flush)
        return ticket.succeeds_by(monotonic() + timeout_millis / 1000)

    def shutdown(self) -> None:
        """Export what is queued, within `shutdown_seconds`, and stop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        ticket = self._calls.submit_alone(self._batch.shutdown, is_last=True)
        ticket.succeeds_by(monotonic() + self._shutdown_seconds)

    def _resource(self, process: Process) -> Resource:
        found = self._resources.get(process.id)
        if found is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            attributes = cast("dict[str, str]", dict(process.resource))
            found = self._resources[process.id] = Resource(attributes)
        return found


def span_from_record(record: Record, resource: Resource) -> ReadableSpan:
    """Return the ended span that a final record was made from, as far as the record has it.

    Args:
        record: A record of phase `end`.
        resource: The resource of its process.

    >>> from otel_ext.record.model import Process, Record
    >>> record = Record(
    ...     "span",
    ...     "end",
    ...     "load",
    ...     20,
    ...     2,
    ...     Process("p"),
    ...     trace_id="0" * 31 + "1",
    ...     span_id="0" * 15 + "2",
    ...     start_ns=10,
    ... )
    >>> span = span_from_record(record, Resource({}))
    >>> span.name, span.start_time, span.end_time
    ('load', 10, 20)
    """
    trace_id = int(record.trace_id, 16)
    parent = record.parent_span_id
    return ReadableSpan(
        name=record.name,
        context=_context(trace_id, record.span_id, record.context),
        parent=_context(trace_id, parent, record.context, is_parent=True) if parent else None,
        resource=resource,
        attributes=_attributes(record.attributes),
        events=[
            Event(event.name, _attributes(event.attributes), event.time_ns)
            for event in record.events
        ],
        links=[
            Link(
                _context(int(link.trace_id, 16), link.span_id, link.context, is_parent=True),
                _attributes(link.attributes),
            )
            for link in record.links
        ],
        kind=_KINDS.get(record.span_kind, SpanKind.INTERNAL),
        status=_status(record.status),
        start_time=record.start_ns,
        end_time=record.time_ns,
        instrumentation_scope=_scope(record.scope),
    )


def _context(
    trace_id: int, span_id: str, facts: TraceContext | None, *, is_parent: bool = False
) -> SpanContext:
    """Return the context of a span, or that of its parent or of a linked one."""
    state = TraceState.from_header([facts.trace_state]) if facts is not None else None
    is_remote = is_parent and facts is not None and facts.is_remote
    return SpanContext(
        trace_id, int(span_id, 16), is_remote=is_remote, trace_flags=_SAMPLED, trace_state=state
    )


def _attributes(attributes: Mapping[str, object]) -> Attributes:
    # Captured from a span, so the types are those a span may hold; its sequences are tuples.
    tuples = {
        key: tuple(cast("list[object]", value)) if isinstance(value, list) else value
        for key, value in attributes.items()
    }
    return cast("Attributes", tuples)


def _status(status: RecordStatus | None) -> Status:
    if status is None:
        return Status(StatusCode.UNSET)
    code = _CODES.get(status.code, StatusCode.UNSET)
    # With any other code the SDK warns about a description, and drops it.
    return Status(code, status.description if code is StatusCode.ERROR else None)


def _scope(scope: RecordScope | None) -> InstrumentationScope | None:
    return (
        None
        if scope is None
        else InstrumentationScope(scope.name, scope.version or None, scope.schema_url or None)
    )
