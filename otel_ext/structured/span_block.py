"""`SpanBlock`: a span of a structured trace for one block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_ext.context.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from otel_ext.structured.trace_span import TraceSpan

__all__ = ["SpanBlock"]


class SpanBlock:
    """A span of a structured trace for one block, as `StructuredTrace.with_span` makes it.

    Args:
        start: Starts the span.
        end: Ends it, as `StructuredTrace.end_span`.

    Attributes:
        result: What the block results in; a `Failure` marks the span as failed.
        span: The span, within the block.
    """

    def __init__(self, start: Callable[[], TraceSpan], end: Callable[..., None]) -> None:
        self.result: object = None
        self.span: TraceSpan | None = None
        self._start = start
        self._end = end
        self._opened: list[TraceSpan] = []

    def __enter__(self) -> TraceSpan:
        self.span = self._start()
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
            self._end(span, "failure", self.result.reason)
        else:
            self._end(span, error=error)
