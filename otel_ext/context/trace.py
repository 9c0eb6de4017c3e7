"""`trace_context`: runs a block in a trace of its own, whose records are at hand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import get_current
from opentelemetry.trace import INVALID_SPAN, Link, get_current_span, set_span_in_context

from otel_ext.context.async_block import AsyncBlock
from otel_ext.context.current import enter, leave, open_span, take_ending
from otel_ext.context.error_context import keep_fields
from otel_ext.context.outcome import finish
from otel_ext.context.trace_buffer import TraceBuffer
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.listeners import LISTENERS
from otel_ext.settings.limits import check_limit

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.current import Opened
    from otel_ext.record.model import Record

__all__ = ["MAX_RECORDS", "Trace", "trace_context"]

MAX_RECORDS: Final = 100_000
"""How many records of its trace a block keeps by default."""


class Trace:
    """The trace of a block.

    Attributes:
        span: Its root span.
        trace_id: 32 lower-case hex digits; empty if tracing is off.
    """

    def __init__(self, span: Span, buffer: TraceBuffer) -> None:
        self.span = span
        self._buffer = buffer
        context = span.get_span_context()
        self.trace_id = f"{context.trace_id:032x}" if context.is_valid else ""

    @property
    def dropped(self) -> int:
        """How many records did not fit into the buffer."""
        return self._buffer.dropped

    def records(self) -> tuple[Record, ...]:
        """Return the trace's records so far, those of spans and logs of this process.

        After the block this includes the end of the root span; records that tasks or
        threads make later are not in it.
        """
        return self._buffer.records()


class trace_context(AsyncBlock):  # noqa: N801 - used like a function
    """Runs a block in a trace of its own, with `with` or `async with`.

    The root span has no parent. If another span is current, it has a link to that one. The
    records are those of a `LifecycleSpanProcessor`, as `otel_ext.configure()` sets it up.

    Args:
        name: The name of the root span.
        max_records: How many records are kept; further ones are dropped and counted.
        attributes: The root span's attributes at the start.

    Raises:
        ConfigError: `max_records` is not a positive number.

    >>> with trace_context("nightly", job=7) as trace:
    ...     trace.records()
    ()
    """

    __slots__ = ("_attributes", "_max_records", "_name", "_opened")

    def __init__(
        self, name: str, /, *, max_records: int = MAX_RECORDS, **attributes: AttributeValue
    ) -> None:
        check_limit("max_records", max_records)
        self._name = name
        self._max_records = max_records
        self._attributes = attributes
        self._opened: list[Opened[tuple[Span, TraceBuffer]]] = []

    def __enter__(self) -> Trace:
        """Start the trace."""
        outer = get_current_span().get_span_context()
        context = set_span_in_context(INVALID_SPAN, get_current())
        buffer = TraceBuffer(self._max_records)
        with buffer.beginning():
            span = open_span(
                self._name, self._attributes, context, (Link(outer),) if outer.is_valid else ()
            )
        if span.is_recording() and not LISTENERS.has_sources():
            report_problem(
                "trace_context", "there are no records to keep: call otel_ext.configure() first"
            )
        self._opened.append((span, enter(span), (span, buffer)))
        trace = Trace(span, buffer)
        if trace.trace_id:
            buffer.belong_to(trace.trace_id)
        return trace

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the trace."""
        current = get_current_span()
        ending = take_ending(self._opened, current)
        if ending is None:
            return
        _, left, (span, buffer) = ending
        if left is not None:
            leave(left, is_current=span is current)
        if span is not INVALID_SPAN:
            finish(span, error)
        buffer.end()
        if error is not None:
            keep_fields(error)
