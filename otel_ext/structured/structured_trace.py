"""`StructuredTrace`: adds spans to a flat trace whose callers stay as they are."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from opentelemetry.context import attach, get_value, set_value
from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context.arguments import attribute_of
from otel_ext.context.manual import end_span, start_span
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr
from otel_ext.structured.span_block import SpanBlock
from otel_ext.structured.trace_log import LEVELS, TraceLog
from otel_ext.structured.trace_span import TraceSpan
from otel_ext.structured.trace_views import hierarchical_view, path_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.outcome import Outcome

__all__ = ["StructuredTrace"]

R = TypeVar("R")

_MAX_SPANS: Final = 1_000
_MAX_EVENTS: Final = 10_000
_MAX_NAME: Final = 200
_RECORDED: Final = frozenset((*LEVELS, "add_log"))
_OWN: Final = frozenset(("trace", "spans", "dropped_spans", "dropped_events"))
# The key in OpenTelemetry's context; its value refers to the innermost span that a structured
# trace has started. Weakly: a thread's context would keep the last trace of each thread.
_INNERMOST: Final = "otel_ext-structured-span"
_TYPE: Final = "log.type"
_SOURCE: Final = "log.source"
_DATA: Final = "log.data"


class StructuredTrace:
    """Wraps a flat trace: its calls work as before, and it has spans besides.

    Each call of `info`, `success`, `failure`, `error`, `step`, `data` or `add_log` goes to the
    flat trace with its arguments unchanged, and is also an event of the current span. All
    other attributes are those of the flat trace.

    Args:
        trace: The flat trace; by default a `TraceLog`.
        max_spans: How many spans it shows; further ones are recorded, and counted in
            `dropped_spans`.
        max_events: How many calls become events; further ones only go to the flat trace, and
            are counted in `dropped_events`.

    Attributes:
        trace: The flat trace.
        spans: Its root spans that were started first, each with its children.

    Raises:
        ConfigError: A limit is not a positive number.

    >>> trace = StructuredTrace()
    >>> with trace.with_span("resolve targets", attributes={"actor": 7}):
    ...     trace.info("3 candidates", "TargetService")
    >>> [(entry.type, entry.message) for entry in trace.logs]
    [('info', '3 candidates')]
    """

    def __init__(
        self,
        trace: object = None,
        *,
        max_spans: int = _MAX_SPANS,
        max_events: int = _MAX_EVENTS,
    ) -> None:
        for name, limit in (("max_spans", max_spans), ("max_events", max_events)):
            check_limit(name, limit)
        self.trace: Any = TraceLog() if trace is None else trace
        self.spans: list[TraceSpan] = []
        self.dropped_spans = 0
        self.dropped_events = 0
        self._max_spans = max_spans
        self._max_events = max_events
        self._events = 0
        self._known: dict[int, TraceSpan] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - an attribute of any flat trace
        """Return an attribute of the flat trace; its reporting methods add events."""
        if name == "trace":  # a copy that has not been filled yet
            raise AttributeError(name)
        found = getattr(self.trace, name)
        if name not in _RECORDED or not callable(found):
            return found

        def recorded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it is declared there
            self._add_event(name, args, kwargs)
            return found(*args, **kwargs)

        return recorded

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute of the flat trace, unless this object has it."""
        self._set_on(name).__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Delete an attribute of the flat trace, unless this object has it."""
        self._set_on(name).__delattr__(name)

    def __bool__(self) -> bool:
        return bool(self.trace)

    def __len__(self) -> int:
        return len(self.trace)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.trace)

    def __contains__(self, item: object) -> bool:
        return item in self.trace

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - as the flat trace declares it
        return self.trace[key]

    def _set_on(self, name: str) -> Any:  # noqa: ANN401 - the flat trace
        is_own = name in _OWN or name.startswith("_") or hasattr(type(self), name)
        return super() if is_own else self.trace

    def start_span(
        self, operation: str, attributes: Mapping[str, object] | None = None
    ) -> TraceSpan:
        """Start a span within the current one, until `end_span`.

        Args:
            operation: The span's name.
            attributes: Its attributes at the start.
        """
        parent = self._parent()
        try:
            values = {str(key): attribute_of(value) for key, value in (attributes or {}).items()}
        except Exception as error:  # noqa: BLE001 - keys and values are the program's own
            report_problem("StructuredTrace.start_span: attributes are lost", error)
            values = {}
        made = TraceSpan(operation, start_span(operation, **values), parent)
        if made.span is INVALID_SPAN:
            return made
        if len(self._known) >= self._max_spans:
            self.dropped_spans += 1
            return made
        self._known[made.span.get_span_context().span_id] = made
        (self.spans if parent is None else parent.children).append(made)
        attach(set_value(_INNERMOST, weakref.ref(made)))
        return made

    def _parent(self) -> TraceSpan | None:
        """Return the span of this trace that a span which starts here is within."""
        known = self._known
        current = known.get(get_current_span().get_span_context().span_id)
        if current is not None:
            return current
        # Other spans may be between, such as those of `auto_span`.
        reference = cast("Callable[[], TraceSpan | None] | None", get_value(_INNERMOST))
        found = None if reference is None else reference()
        while found is not None and found.status != "active":
            found = found.parent
        return (
            found
            if found is not None and known.get(found.span.get_span_context().span_id) is found
            else None
        )

    def end_span(
        self,
        span: TraceSpan,
        status: Outcome = "ok",
        description: str = "",
        *,
        error: BaseException | None = None,
    ) -> None:
        """End a span of this trace; as `otel_ext.end_span` does.

        Args:
            span: The span.
            status: `ok`, `failure` or `error`.
            description: Why, unless it is `ok`.
            error: An exception that ends it; it decides the status.
        """
        if not isinstance(cast("object", span), TraceSpan):
            report_problem("StructuredTrace.end_span", f"{short_repr(span)} is not a TraceSpan")
            return
        span.error = error if span.error is None else span.error
        end_span(span.span, status, description, error=error)
        if error is not None:
            status = "error" if isinstance(error, Exception) else "failure"
        span.has_ended_as(status)

    @overload
    def with_span(
        self, operation: str, *, attributes: Mapping[str, object] | None = None
    ) -> SpanBlock: ...

    @overload
    def with_span(
        self,
        operation: str,
        function: Callable[[], R],
        attributes: Mapping[str, object] | None = None,
    ) -> R: ...

    def with_span(
        self,
        operation: str,
        function: Callable[[], R] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> R | SpanBlock:
        """Run a function in a span and return its result; without one, return a `with` block.

        Args:
            operation: The span's name.
            function: What to run; if it returns a `Failure`, the span is marked as failed.
            attributes: The span's attributes at the start.
        """
        block = SpanBlock(lambda: self.start_span(operation, attributes), self.end_span)
        if function is None:
            return block
        with block:
            result = function()
            block.result = result
        return result

    async def with_span_async(
        self,
        operation: str,
        function: Callable[[], Awaitable[R]],
        attributes: Mapping[str, object] | None = None,
    ) -> R:
        """Run a coroutine function in a span and return its result.

        Args:
            operation: The span's name.
            function: What to run; if it returns a `Failure`, the span is marked as failed.
            attributes: The span's attributes at the start.
        """
        with (block := SpanBlock(lambda: self.start_span(operation, attributes), self.end_span)):
            result = await function()
            block.result = result
        return result

    def hierarchical_view(self) -> list[dict[str, object]]:
        """Return the spans as nested dicts, which JSON can represent.

        Returns:
            One for each root span, by start: `operation`, `id`, `parent_id`, `status`,
            `start_ns`, `duration_ns` (None while it is active), `attributes`, `error` (text or
            None) and `children`.
        """
        return hierarchical_view(self.spans)

    def performance_summary(self) -> dict[str, object]:
        """Return where the time of the spans went.

        Returns:
            `total_ns` from the first start to the last end, or to now; the numbers of `spans`,
            of `active` ones, `failures`, `errors` and `dropped_spans`; and `operations`, the one
            with the longest time first: `operation`, `count`, `errors`, `total_ns`, `self_ns`,
            `p50_ns` and `p99_ns`.
        """
        return summary_of(self.spans, self.dropped_spans)

    def critical_path(self) -> list[dict[str, object]]:
        """Return what the end of the longest root span had to wait for.

        Returns:
            Its pieces, by time and without gaps: `operation`, `id`, `start_ns`, `duration_ns`
            and `is_open`, which marks a lower bound.
        """
        return path_of(self.spans)

    def _add_event(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Add a call of the flat trace to the current span; never raises."""
        try:
            span = get_current_span()
            if not span.is_recording():
                return
            if self._events >= self._max_events:
                self.dropped_events += 1
                return
            self._events += 1
            given = args if name == "add_log" else (name, *args)
            call: dict[str, Any] = dict(zip(_PARAMETERS, given, strict=False))
            call.update(kwargs)
            attributes: dict[str, AttributeValue] = {_TYPE: str(call.get("type", name))}
            for key, attribute in (("source", _SOURCE), ("data", _DATA)):
                value = call.get(key)
                # Compared by type: the data may have a comparison of its own.
                if value is not None and not (isinstance(value, str) and not value):
                    attributes[attribute] = attribute_of(value)
            span.add_event(str(call.get("message", ""))[:_MAX_NAME], attributes)
        except Exception as error:  # noqa: BLE001 - the call itself must go on
            report_problem("StructuredTrace: an event is lost", error)


_PARAMETERS: Final = ("type", "message", "source", "data")
