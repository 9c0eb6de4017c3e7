"""Sets a global tracer provider for a while, and finds what its spans have become."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from structlog.contextvars import clear_contextvars

from otel_ext.context import error_context, error_scope
from otel_ext.processors import LifecycleSpanProcessor
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.testing import RecordCapture
from tests.global_provider import as_global

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["CLOSED", "REMOTE", "Detaching", "Tracing", "leave_no_span", "tracing"]

CLOSED: Final = ("UNSET", None, {"otel_ext.ended_by": "GeneratorExit"})
"""What `end_of` returns for the span of an iteration that was not finished."""

REMOTE: Final = NonRecordingSpan(SpanContext(0xA, 0xB, is_remote=True, trace_flags=TraceFlags(1)))
"""A span of another process."""


class Detaching(logging.Handler):
    """Keeps what OpenTelemetry logs about its context."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.messages.append(record.getMessage())


class Tracing:
    """The spans of a provider, as the SDK exports them and as records."""

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.records = RecordCapture()
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(LifecycleSpanProcessor(self.records))
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in this order."""
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """Return the only ended span called `name`."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans]
        return found[0]

    def end_of(self, name: str) -> tuple[str, str | None, dict[str, object]]:
        """Return the status, its description and the attributes of the span `name`."""
        span = self.span(name)
        return span.status.status_code.name, span.status.description, dict(span.attributes or {})

    def exception_of(self, name: str) -> Mapping[str, object]:
        """Return the attributes of the only exception event of the span `name`."""
        (event,) = exceptions(self.span(name))
        return dict(event.attributes or {})

    def parent_of(self, name: str) -> str | None:
        """Return the name of the parent of the span `name`; None if that is a root."""
        parent = self.span(name).parent
        if parent is None:
            return None
        names = {span.context.span_id: span.name for span in self.spans if span.context}
        return names[parent.span_id]


def exceptions(span: ReadableSpan) -> list[Event]:
    """Return the exception events of a span."""
    return [event for event in span.events if event.name == "exception"]


@contextmanager
def leave_no_span() -> Generator[None]:
    """Run a block that may leave no current span and no error context in this thread.

    OpenTelemetry may not log a failure to detach a context in it.
    """
    logger, handler = logging.getLogger("opentelemetry.context"), Detaching()
    token = context.attach(context.Context())
    logger.addHandler(handler)
    clear_contextvars()
    try:
        yield
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert error_context.get() == {}
    finally:
        logger.removeHandler(handler)
        token.var.reset(token)
        clear_contextvars()
    assert handler.messages == []


@contextmanager
def tracing(sampler: Sampler) -> Generator[Tracing]:
    """Set the global provider during a block, after which no span may be current."""
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    with as_global(provider), leave_no_span():
        try:
            yield Tracing(provider)
        finally:
            provider.shutdown()
            LISTENERS.remove(error_scope.hear)
