"""`start_span`, `end_span` and `current_span`: spans that do not fit into one block.

The span that was current before is kept in OpenTelemetry's context, beside the span that
is current now; so each task and thread has its own, and no stack exists beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from opentelemetry.context import Context, attach, get_current, set_value
from opentelemetry.trace import (
    INVALID_SPAN,
    get_current_span,
    set_span_in_context,
)

from otel_ext.context.current import open_span
from otel_ext.context.outcome import finish, settle_as
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.outcome import Outcome

__all__ = ["current_span", "end_span", "start_span"]

# The key in OpenTelemetry's context; its value is the span that `start_span` made current,
# and the context before.
_STARTED: Final = "otel_ext-started-span"
_WHERE: Final = "end_span"


def start_span(name: str, /, **attributes: AttributeValue) -> Span:
    """Start a span and make it the current one, until `end_span`; never raises.

    Where a block has the span's extent, `with_span` is safer: it cannot be forgotten.

    Args:
        name: The span's name.
        attributes: Its attributes at the start.

    Returns:
        The span. If tracing is off, one that records nothing.

    >>> span = start_span("import", rows=12)
    >>> end_span(span)
    """
    span = open_span(name, attributes)
    if span is not INVALID_SPAN:
        before = get_current()
        attach(set_value(_STARTED, (span, before), set_span_in_context(span, before)))
    return span


def end_span(
    span: Span | None = None,
    status: Outcome = "ok",
    description: str = "",
    *,
    error: BaseException | None = None,
) -> None:
    """End a span; never raises.

    If it is the current one, the span before it that has not ended is current again. A span
    may be ended in any order, and in another task or thread than started it, where it stays
    the current one until that ends a span of its own. Ending a span again has no effect but
    a warning on stderr.

    Args:
        span: The span; by default the current one, which `start_span` must have started.
        status: `ok`, `failure` or `error`.
        description: Why, unless it is `ok`.
        error: An exception that ends the span; it decides the status.

    >>> span = start_span("charge", order=7)
    >>> end_span(span, "failure", "declined")
    """
    if span is None:
        span = _last_started()
        if span is None:
            return
    if span is INVALID_SPAN:
        return
    try:
        _restore(span)
        if _has_ended(span):
            report_problem(_WHERE, "a span was ended twice; the second end has no effect")
        elif error is not None:
            finish(span, error)
        else:
            settle_as(span, status, description)
            span.end()
    except Exception as problem:  # noqa: BLE001 - such as an argument that is not a span
        report_problem(_WHERE, problem)


def current_span() -> Span:
    """Return the current span; one that records nothing if there is none.

    >>> current_span().is_recording()
    False
    """
    return get_current_span()


def _has_ended(span: Span) -> bool:
    return getattr(span, "end_time", None) is not None


def _started_in(context: Context) -> tuple[Span, Context] | None:
    return cast("tuple[Span, Context] | None", context.get(_STARTED))


def _last_started() -> Span | None:
    """Return the current span, if `start_span` started it; else report why not."""
    current = get_current_span()
    started = _started_in(get_current())
    if started is not None and started[0] is current:
        return current
    if current is not INVALID_SPAN:
        report_problem(_WHERE, "start_span did not start the current span: name one to end")
    return None


def _restore(span: Span) -> None:
    """Make the span before `span` current again, if `span` is the current one here."""
    context = get_current()
    started = _started_in(context)
    if started is None or started[0] is not span or get_current_span(context) is not span:
        return
    before = started[1]
    # Skip those that ended out of order.
    while (earlier := _started_in(before)) is not None and (
        earlier[0] is get_current_span(before) and _has_ended(earlier[0])
    ):
        before = earlier[1]
    # Only these two values, since others, such as baggage, may have changed meanwhile.
    context = set_span_in_context(get_current_span(before), context)
    attach(set_value(_STARTED, _started_in(before), context))
