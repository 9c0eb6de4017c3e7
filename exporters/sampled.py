"""`UnsampledSpans`: keeps what is not sampled from leaving the process.

With `record_only`, spans that are recorded but not sampled are in the files; no
record tells so. This hook sees the spans themselves and remembers which they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import SpanProcessor

from otel_ext.record.capture import SAMPLED
from otel_ext.runtime.fork import after_fork_in_child
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from otel_ext.record.model import Record

__all__ = ["UnsampledSpans"]

_MOST: Final = 200_000


class UnsampledSpans(SpanProcessor):
    """Remembers spans that are not sampled; `decide` refuses their records.

    Goes before the processor that makes the records.

    Args:
        most: How many spans are remembered; the oldest are forgotten first.

    >>> from otel_ext.record.model import Process, Record
    >>> UnsampledSpans().decide(Record("span", "start", "work", 0, 1, Process("p")))
    True
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._begin_anew()
        after_fork_in_child(self._begin_anew)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember `span` if it is not sampled."""
        try:
            context = span.get_span_context()
            if context.trace_flags & SAMPLED:
                return
            self._spans[f"{context.trace_id:032x}", f"{context.span_id:016x}"] = None
            if len(self._spans) > self._most:
                self._spans.pop(next(iter(self._spans)), None)
        except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
            report_problem("UnsampledSpans: a span may be sent though it is not sampled", error)

    def decide(self, record: Record) -> bool:
        """Return whether a span's record may be sent."""
        return record.key not in self._spans

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing waits."""
        return True

    def _begin_anew(self) -> None:
        self._spans: dict[tuple[str, str], None] = {}
