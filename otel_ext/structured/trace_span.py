"""`TraceSpan`: what a structured trace shows of one of its spans."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from opentelemetry.trace import StatusCode

from otel_ext.context.arguments import attribute_of
from otel_ext.context.outcome import ENDED_BY, ERROR_TYPE
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span

__all__ = ["SpanStatus", "TraceSpan"]

SpanStatus: TypeAlias = Literal["active", "success", "failure", "error"]


class TraceSpan:
    """A view of an OpenTelemetry span; it changes as the span does.

    Attributes:
        operation: The name that it was started with.
        span: The OpenTelemetry span.
        parent: The span of the same trace that it was started within, directly or not.
        children: The spans of the same trace that were started within it.
        error: The exception that ended it, if it is known.
    """

    def __init__(self, operation: str, span: Span, parent: TraceSpan | None = None) -> None:
        self.operation = operation
        self.span = span
        self.parent = parent
        self.children: list[TraceSpan] = []
        self.error: BaseException | None = None
        self._ended_as: SpanStatus | None = None
        # A span that is not recorded has none of what is read here.
        self._readable = cast("ReadableSpan", span) if span.is_recording() else None

    @property
    def id(self) -> str:
        """The span's id, 16 lower-case hex digits."""
        return f"{self.span.get_span_context().span_id:016x}"

    @property
    def parent_id(self) -> str | None:
        """The id of the parent span, None for a root or a span that is not recorded."""
        parent = None if self._readable is None else self._readable.parent
        return None if parent is None else f"{parent.span_id:016x}"

    @property
    def start_ns(self) -> int | None:
        """When it started, in nanoseconds since the epoch."""
        return None if self._readable is None else self._readable.start_time

    @property
    def end_ns(self) -> int | None:
        """When it ended, in nanoseconds since the epoch; None while it is active."""
        return None if self._readable is None else self._readable.end_time

    @property
    def duration_ns(self) -> int | None:
        """How long it took, in nanoseconds; None while it is active."""
        start, end = self.start_ns, self.end_ns
        return None if start is None or end is None else max(end - start, 0)

    @property
    def attributes(self) -> Mapping[str, object]:
        """Its attributes."""
        found = None if self._readable is None else self._readable.attributes
        return MappingProxyType(dict(found or {}))

    @property
    def status(self) -> SpanStatus:
        """Whether it is active, or how it ended."""
        readable = self._readable
        if readable is None:
            return self._ended_as or "active"
        if readable.end_time is None:
            return "active"
        attributes = self.attributes
        if readable.status.status_code is StatusCode.ERROR:
            return "failure" if attributes.get(ERROR_TYPE) == "failure" else "error"
        # Cancelled or closed: it did not do all of its work.
        is_unset = readable.status.status_code is StatusCode.UNSET
        return "failure" if is_unset and ENDED_BY in attributes else "success"

    def has_ended_as(self, outcome: str) -> None:
        """Note how it ended, for a span that is not recorded and does not know.

        Args:
            outcome: `ok`, `failure` or `error`.
        """
        names: dict[str, SpanStatus] = {"ok": "success", "failure": "failure"}
        self._ended_as = self._ended_as or names.get(outcome, "error")

    def set_attribute(self, key: str, value: object) -> None:
        """Set an attribute; never raises."""
        try:
            self.span.set_attribute(key, attribute_of(value))
        except Exception as error:  # noqa: BLE001 - the value is the program's own
            report_problem("TraceSpan.set_attribute: an attribute is lost", error)

    def __repr__(self) -> str:
        return f"TraceSpan({self.operation!r}, {self.status})"
