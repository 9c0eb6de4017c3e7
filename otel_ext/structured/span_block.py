"""`SpanBlock`: a span of a structured trace for one block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.context.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from otel_ext.structured.structured_trace import StructuredTrace
    from otel_ext.structured.trace_span import TraceSpan

__all__ = ["SpanBlock"]


class SpanBlock:
    """A span of a structured trace for one block.

    Attributes:
        result: What the block results in; a `Failure` marks the span as failed.
        span: The span, within the block.
    """

    def __init__(
        self, trace: StructuredTrace, operation: str, attributes: Mapping[str, object] | None
    ) -> None:
        self.result: object = None
        self.span: TraceSpan | None = None
        self._trace = trace
        self._operation = operation
        self._attributes = attributes
        self._opened: list[TraceSpan] = []

    def __enter__(self) -> TraceSpan:
        self.span = self._trace.start_span(self._operation, self._attributes)
        self._opened.append(self.span)
        return self.span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        span = self._opened.pop()
        if type(self.result) is Failure:
            self._trace.end_span(span, "failure", self.result.reason)
        else:
            self._trace.end_span(span, error=error)
