"""How a span ends: `ok`, `failure` (a value) or `error` (an exception).

The SDK leaves the status of a span unset unless an `Exception` passes through it, and
reports `sys.exit(0)` as an error. Here each way to end has a defined result:

=========================== ============ =====================================
ended by                    status       besides
=========================== ============ =====================================
return                      ok
`Failure`, `mark_failure`   error        `error.type` is `failure`
an exception, a group       error        exception event, `error.type`
`KeyboardInterrupt`         error        exception event, `otel_ext.ended_by`
`SystemExit`, code 0        ok           `otel_ext.ended_by`
`SystemExit`, other codes   error        `error.type`, `otel_ext.ended_by`
cancellation                left unset   `otel_ext.ended_by`
`GeneratorExit`             left unset   `otel_ext.ended_by`
=========================== ============ =====================================

A status that the program has set itself stays.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

from opentelemetry.trace import StatusCode, get_current_span

from otel_ext.context.error_context import enrich
from otel_ext.context.error_scope import drop_span
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Span

__all__ = [
    "ENDED_BY",
    "ERROR_TYPE",
    "Failure",
    "Outcome",
    "close",
    "finish",
    "mark_failure",
    "settle",
    "settle_as",
]

Outcome: TypeAlias = Literal["ok", "failure", "error"]

ENDED_BY: Final = "otel_ext.ended_by"
"""The attribute that names the exception which ended a span without being an error of its own."""

ERROR_TYPE: Final = "error.type"
"""https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/"""

GROUPED: Final = "otel_ext.exception.grouped"
"""The attribute of an exception event that lists the types in an exception group."""

_OK: Final = StatusCode.OK
_UNSET: Final = StatusCode.UNSET
_ERROR: Final = StatusCode.ERROR
# Of asyncio, trio and gevent, recognised by name so that none is imported.
_CANCELLATIONS: Final = frozenset(("CancelledError", "Cancelled", "GreenletExit"))
_MAX_GROUPED: Final = 32
_MAX_DESCRIPTION: Final = 1_000


class Failure(NamedTuple):
    """A result that means that the work failed, without an exception.

    A function decorated by `auto_span` or `with_span` returns it to mark its span as failed.

    Args:
        reason: Why, in a few words.
        value: What the caller gets besides.

    >>> Failure("declined", {"code": 51}).reason
    'declined'
    """

    reason: str
    value: object = None


def mark_failure(reason: str, *, span: Span | None = None) -> None:
    """Mark a span as failed, without an exception; never raises.

    Args:
        reason: Why, in a few words; the description of the status.
        span: The span; by default the current one.

    >>> mark_failure("declined")
    """
    try:
        _fail(get_current_span() if span is None else span, reason)
    except Exception as error:  # noqa: BLE001 - nothing may reach the user's code
        report_problem("mark_failure: a span is not marked", error)


def settle(span: Span, error: BaseException | None, result: object = None) -> None:
    """Set the status of a span that ends now, by the table above; never raises.

    Args:
        span: The span, not ended.
        error: The exception that ends it, or None.
        result: What the work returned.
    """
    try:
        if error is not None:
            _settle_error(span, error)
        elif type(result) is Failure:
            if _is_unset(span):
                _fail(span, result.reason)
        elif _is_unset(span):
            span.set_status(_OK)
    except Exception as problem:  # noqa: BLE001 - nothing may reach the user's code
        report_problem("the status of a span is lost", problem)


def finish(span: Span, error: BaseException | None, result: object = None) -> None:
    """Set the status of a span as `settle` does, and end it; never raises.

    A span that the program has ended itself stays as it is.
    """
    if getattr(span, "end_time", None) is not None:
        report_problem("a span", "it was ended twice; the second end has no effect")
        return
    settle(span, error, result)
    close(span)


def close(span: Span) -> None:
    """End a span, and the fields that `error_context.set` has set in it; never raises."""
    try:
        span.end()
        drop_span(span)
    except Exception as problem:  # noqa: BLE001 - a processor may be third-party code
        report_problem("the end of a span is lost", problem)


def settle_as(span: Span, outcome: str, description: str = "") -> None:
    """Set the status of a span that ends now to `outcome`; never raises.

    Args:
        span: The span, not ended.
        outcome: `ok`, `failure` or `error`; another word is reported and counts as `error`.
        description: Why, unless it is `ok`.
    """
    try:
        if outcome == "ok":
            if _is_unset(span):
                span.set_status(_OK)
        elif outcome == "failure":
            _fail(span, description)
        else:
            span.set_status(_ERROR, description or None)
            if outcome != "error":
                report_problem(
                    "end_span", f"status={outcome!r} is not a status: use ok, failure or error"
                )
    except Exception as problem:  # noqa: BLE001 - nothing may reach the user's code
        report_problem("the status of a span is lost", problem)


def _is_unset(span: Span) -> bool:
    status = getattr(span, "status", None)  # a span of the SDK has one
    return status is None or status.status_code is _UNSET


def _fail(span: Span, reason: str) -> None:
    span.set_attribute(ERROR_TYPE, "failure")
    span.set_status(_ERROR, str(reason)[:_MAX_DESCRIPTION] or None)


def _settle_error(span: Span, error: BaseException) -> None:
    if isinstance(error, Exception):
        _record(span, error)
        return
    first = next(_leaves(error), None)
    if first is not None:
        if all(map(_is_cancellation, _leaves(error))):
            span.set_attribute(ENDED_BY, type(first).__name__)
        else:
            _record(span, error)
    elif isinstance(error, SystemExit):
        span.set_attribute(ENDED_BY, "SystemExit")
        if error.code:
            span.set_attribute(ERROR_TYPE, "SystemExit")
            _describe(span, error)
        elif _is_unset(span):
            span.set_status(_OK)
    else:
        span.set_attribute(ENDED_BY, type(error).__name__)
        if not isinstance(error, GeneratorExit) and not _is_cancellation(error):
            _record(span, error)


def _record(span: Span, error: BaseException) -> None:
    """Record an exception as an event, with the error context, and set the status."""
    span.set_attribute(ERROR_TYPE, _type_name(error))
    _describe(span, error)
    attributes = enrich(error, span)
    if grouped := [_type_name(leaf) for leaf in islice(_leaves(error), _MAX_GROUPED)]:
        attributes[GROUPED] = grouped
    try:
        span.record_exception(error, attributes)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - its `__str__` raises, for one
        attributes["exception.type"] = _type_name(error)
        attributes["exception.message"] = _text_of(error)
        span.add_event("exception", attributes)  # type: ignore[arg-type]


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception itself may be hostile
        return "<unprintable>"


def _describe(span: Span, error: BaseException) -> None:
    if not _is_unset(span):
        return
    text = _text_of(error)
    name = type(error).__name__
    span.set_status(_ERROR, f"{name}: {text}"[:_MAX_DESCRIPTION] if text else name)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _is_cancellation(error: BaseException) -> bool:
    return not isinstance(error, Exception) and any(
        kind.__name__ in _CANCELLATIONS for kind in type(error).__mro__
    )


def _is_group(error: BaseException) -> bool:
    # Not by its class: Python 3.10 has it only in a package.
    return any(kind.__name__ == "BaseExceptionGroup" for kind in type(error).__mro__)


def _leaves(group: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in an exception group; none if it is not one."""
    if not _is_group(group):
        return
    waiting = deque([group])
    while waiting:
        error = waiting.popleft()
        if _is_group(error):
            waiting += cast("Sequence[BaseException]", getattr(error, "exceptions", ()))
        else:
            yield error
