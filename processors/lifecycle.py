"""`LifecycleSpanProcessor`: a record when a span starts, another when it ends.

The SDK calls processors without a guard: what one raises reaches the user's
code and replaces the user's own exception (opentelemetry-python#5624), so every
hook here ends in one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import SpanProcessor

from otel_ext.inflight.tracker import Tracker
from otel_ext.record.capture import SAMPLED, capture_end, capture_start
from otel_ext.runtime import incarnation
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_ext.inflight.tracker import InflightSettings
    from otel_ext.protocols import RecordExporter
    from otel_ext.record.model import Record
    from otel_ext.runtime.incarnation import Incarnation

__all__ = ["LifecycleSpanProcessor"]

_MAX_DEPTH: Final = 4


class _Depth(threading.local):
    """How deep this thread is inside our hooks; an exporter may start spans."""

    value = 0


class LifecycleSpanProcessor(SpanProcessor):
    """Exports a provisional record at each span's start and a final one at its end.

    Works beside any other processors, in any order, several times, and on
    several providers.

    Args:
        exporter: Where the records go.
        record_only: Whether spans that are recorded but not sampled count too.
        inflight: How spans that are open are watched.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from otel_ext.exporters import ConsoleExporter
    >>> provider = TracerProvider()
    >>> provider.add_span_processor(LifecycleSpanProcessor(ConsoleExporter()))
    """

    def __init__(
        self,
        exporter: RecordExporter,
        *,
        record_only: bool = False,
        inflight: InflightSettings | None = None,
    ) -> None:
        self._exporter = exporter
        self._record_only = record_only
        self.tracker = Tracker(self._emit, inflight)
        self._table = self.tracker.table
        self._depth = _Depth()
        self._incarnation: Incarnation | None = None
        self._closed = False
        after_fork_in_child(self._begin_anew)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Export the start record of `span`; called by the SDK on the user's thread."""
        try:
            context = span.get_span_context()
            if not self._wants(context.trace_flags):
                return
            current = self._incarnation or self._identify()
            process = current.process_for(span.resource)
            record = capture_start(span, process, current.next_seq())
            self._table.add(record, span, (context.trace_id, context.span_id))
            self._export(record)
            self.tracker.begin()
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            COUNTERS.add("dropped.capture_failed")
            report_problem("LifecycleSpanProcessor: a start record is lost", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Export the final record of `span`; called by the SDK on the user's thread."""
        try:
            context = span.get_span_context()
            if context is None or not self._wants(context.trace_flags):
                return
            key = (context.trace_id, context.span_id)
            start = self._table.pop(key)
            if start is None and self._table.is_inherited(key, span.start_time):
                return  # the parent process opened it, and ends it too
            current = self._incarnation or self._identify()
            process = current.process_for(span.resource)
            self._export(capture_end(span, process, current.next_seq(), start))
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            COUNTERS.add("dropped.capture_failed")
            report_problem("LifecycleSpanProcessor: an end record is lost", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter; whether all records were brought out in time."""
        try:
            return self._exporter.force_flush(timeout_millis)
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            report_problem("LifecycleSpanProcessor: flush failed", error)
            return False

    def shutdown(self) -> None:
        """Shut the exporter down; later spans are ignored. Twice is once."""
        if self._closed:
            return
        self._closed = True
        try:
            self.tracker.stop()
            self._exporter.shutdown()
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            report_problem("LifecycleSpanProcessor: shutdown failed", error)

    def _wants(self, trace_flags: int) -> bool:
        return not self._closed and bool(trace_flags & SAMPLED or self._record_only)

    def _emit(self, record: Record) -> None:
        """Export a record that no hook made: of the reaper, the watchdog, the heartbeat."""
        try:
            self._export(record)
        except Exception as error:  # noqa: BLE001 - an exporter is anybody's code
            COUNTERS.add("dropped.export_failed")
            report_problem("LifecycleSpanProcessor: a record is lost", error)

    def _export(self, record: Record) -> None:
        depth = self._depth
        if depth.value >= _MAX_DEPTH:
            COUNTERS.add("dropped.reentrant")
            report_problem("LifecycleSpanProcessor", "an exporter starts spans without end")
            return
        depth.value += 1
        try:
            self._exporter.export(record)
        finally:
            depth.value -= 1

    def _identify(self) -> Incarnation:
        found = self._incarnation = incarnation.current()
        return found

    def _begin_anew(self) -> None:
        """Go on as another process, with numbers of its own."""
        self._depth = _Depth()
        self._incarnation = None
