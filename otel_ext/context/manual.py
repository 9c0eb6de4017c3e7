"""`start_span`, `end_span` and `current_span`: spans that do not fit into one block.

The span that was current before is kept in OpenTelemetry's context, beside the span that
is current now; so each task and thread has its own, and no stack exists beside it.
"""

from __future__ import annotations

import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from opentelemetry.context import Context, attach, get_current, set_value
from opentelemetry.trace import INVALID_SPAN, get_current_span, set_span_in_context

from otel_ext.context.current import has_ended, open_span
from otel_ext.context.outcome import close, finish, settle_as
from otel_ext.runtime.guard import report_problem
from otel_ext.runtime.tasks import running_task

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.outcome import Outcome

__all__ = ["current_span", "end_span", "start_span"]

_Before: TypeAlias = "tuple[Span, _Started | None]"

_STARTED: Final = "otel_ext-started-span"
"""The key in OpenTelemetry's context of what `start_span` made the current span."""

_WHERE: Final = "end_span"
# Spans that are not sampled do not know themselves that they have ended.
_ended_unrecorded: Final[weakref.WeakSet[Span]] = weakref.WeakSet()


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
        context, here = get_current(), _here()
        before = _without_ended((get_current_span(context), _started_in(context)), here)
        outer = before[1]
        if outer is not None and outer.owner != here:
            before = before[0], None  # tasks that start each other would make an endless chain
        else:
            while outer is not None:  # and so would spans that overlap
                outer.before = _without_ended(outer.before, here)
                outer = outer.before[1]
        started = _Started(span, before, here)
        attach(set_value(_STARTED, started, set_span_in_context(span, context)))
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
    the current one until that ends a span of its own. Ending a span again has no effect. Each
    of these is reported on stderr, at most once a minute.

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
        is_second = _has_ended(span)
        if not span.is_recording():
            _ended_unrecorded.add(span)
        is_current = get_current_span() is span
        _restore(span)
        if is_second:
            report_problem(_WHERE, "a span was ended twice; the second end has no effect")
        elif error is not None:
            finish(span, error)
        else:
            settle_as(span, status, description)
            close(span)
        if not is_second and not is_current:
            report_problem(
                _WHERE,
                "a span was ended where it is not the current one: out of order, or in another "
                "task or thread",
            )
    except Exception as problem:  # noqa: BLE001 - such as an argument that is not a span
        report_problem(_WHERE, problem)


def current_span() -> Span:
    """Return the current span; where no span is current, one that records nothing.

    >>> current_span().is_recording()
    False
    """
    return get_current_span()


def _has_ended(span: Span) -> bool:
    return has_ended(span) or (not span.is_recording() and span in _ended_unrecorded)


class _Started:
    """A span that `start_span` made the current one.

    Args:
        span: The span.
        before: The span that was current before, and what `start_span` had started then.
        owner: The task or thread.
    """

    __slots__ = ("before", "owner", "span")

    def __init__(self, span: Span, before: _Before, owner: tuple[int, object]) -> None:
        self.span = span
        self.before = before
        self.owner = owner


def _here() -> tuple[int, object]:
    """Return what tells this task or thread from all others."""
    task = running_task()
    try:
        # A weak reference, since a later task may have the same id.
        return get_ident(), None if task is None else weakref.ref(task)
    except TypeError:  # a task of another library, without weak references
        return get_ident(), None


def _started_in(context: Context) -> _Started | None:
    return cast("_Started | None", context.get(_STARTED))


def _last_started() -> Span | None:
    """Return the current span, if `start_span` started it; else report why not."""
    current = get_current_span()
    started = _started_in(get_current())
    if started is not None and started.span is current:
        return current
    if current is not INVALID_SPAN:
        report_problem(_WHERE, "start_span did not start the current span: name one to end")
    return None


def _restore(span: Span) -> None:
    """Make the span before `span` current again, if `span` is the current one here."""
    context = get_current()
    started = _started_in(context)
    if started is None or started.span is not span or get_current_span(context) is not span:
        return
    before, outer = _without_ended(started.before, _here())
    # Only these two values, since others, such as baggage, may have changed meanwhile.
    attach(set_value(_STARTED, outer, set_span_in_context(before, context)))


def _without_ended(before: _Before, here: tuple[int, object]) -> _Before:
    """Return the latest span that has not ended, out of order or elsewhere.

    The span that was current where a task was made stays its current one, though it has ended.
    """
    span, started = before
    while (
        started is not None and started.span is span and started.owner == here and _has_ended(span)
    ):
        span, started = started.before
    return span, started
