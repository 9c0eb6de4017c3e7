"""`UnsampledSpans`: prevents the sending of records of spans that are not sampled.

With `record_only`, spans that are recorded but not sampled are in the files, and their
records do not show it. This processor sees the spans themselves and remembers them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import SpanProcessor

from otel_ext.exporters.otlp.settings import OtlpSettings
from otel_ext.record.capture import SAMPLED
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_ext.record.model import Record

__all__ = ["UnsampledSpans"]

_MAX_SPANS: Final = 200_000


class UnsampledSpans(SpanProcessor):
    """Remembers spans that are not sampled; `decide` refuses their records, and logs in them.

    Add it before the processor that makes the records. A forked child keeps what its
    parent remembered, since it may end such spans.

    Args:
        max_spans: How many spans are remembered; the oldest are forgotten first.
        max_ended: How many ended spans are remembered: as many as records may wait for
            a decision.

    >>> from otel_ext.record.model import Process, Record
    >>> UnsampledSpans().decide(Record("span", "start", "work", 0, 1, Process("p")))
    True
    """

    def __init__(
        self, max_spans: int = _MAX_SPANS, max_ended: int = OtlpSettings.queue_size
    ) -> None:
        self._max_spans = max_spans
        self._max_ended = max_ended
        self._spans: dict[str, None] = {}
        self._ended: deque[str] = deque()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember `span` if it is not sampled."""
        try:
            context = span.get_span_context()
            if context.trace_flags & SAMPLED:
                return
            self._spans[f"{context.trace_id:032x}{context.span_id:016x}"] = None
            if len(self._spans) > self._max_spans:
                COUNTERS.add("remote.unsampled_forgotten")
                self._spans.pop(next(iter(self._spans)), None)
        except Exception as error:  # noqa: BLE001 - no error may reach the user's code
            report_problem("UnsampledSpans: a span may be sent though it is not sampled", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Forget a span some time after its end; its last records may still be queued."""
        try:
            context = span.get_span_context()
            if context is None or context.trace_flags & SAMPLED:
                return
            self._ended.append(f"{context.trace_id:032x}{context.span_id:016x}")
            if len(self._ended) > self._max_ended:
                self._spans.pop(self._ended.popleft(), None)
        except Exception as error:  # noqa: BLE001 - no error may reach the user's code
            report_problem("UnsampledSpans: a span is remembered for too long", error)

    def decide(self, record: Record) -> bool:
        """Return whether the record of a span, or a log in it, may be sent."""
        return record.trace_id + record.span_id not in self._spans

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing waits."""
        return True
