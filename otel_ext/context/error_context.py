"""Error context: facts about the work at hand, such as an order's number.

They are in every log, on structlog's context variables, and in every exception that
leaves the block: as a note in its traceback, and in the exception event of its span.
Fields of `with_context` end with its block. Those of `set` end with the block or span
around it; without either, with the task or thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import get_current_span
from structlog.contextvars import get_contextvars, merge_contextvars

from otel_ext.context.error_scope import (
    add_fields,
    current_work,
    drop_ended,
    enter_block,
    exit_block,
)
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.trace import Span
    from structlog.typing import EventDict, WrappedLogger

    from otel_ext.context.scope import Scope

__all__ = ["child", "enrich", "get", "keep_fields", "merge_fields", "set", "with_context"]

_NOTE: Final = "error context: "
_KEPT: Final = "_otel_ext_error_context"
_MAX_TEXT: Final = 500
_MAX_NOTE: Final = 2_000


def set(**fields: object) -> None:  # noqa: A001 - `error_context.set` reads as it should
    """Add fields to the error context, until the block or span around it ends.

    Without either, they last as long as the task or thread: in a thread that serves one
    request after another, use `with_context`.

    Args:
        fields: Names and values.

    >>> with with_context():
    ...     set(order=7)
    ...     get()
    {'order': 7}
    >>> get()
    {}
    """
    add_fields(fields)


def get() -> dict[str, object]:
    """Return the fields that hold here.

    >>> with with_context(order=7), with_context(item="lamp"):
    ...     sorted(get().items())
    [('item', 'lamp'), ('order', 7)]
    """
    drop_ended()
    return get_contextvars()


def merge_fields(logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    """Add the fields that hold here to a log; a structlog processor.

    In the position of `structlog.contextvars.merge_contextvars`, which would also add what
    `set` has left in a pooled thread under a span that was not sampled.

    >>> with with_context(order=7):
    ...     merge_fields(None, "info", {"event": "paid"})
    {'event': 'paid', 'order': 7}
    """
    drop_ended()
    return merge_contextvars(logger, method, event_dict)


def child(**fields: object) -> with_context:
    """Return the fields that hold here and further ones, for a block in another task or thread.

    Args:
        fields: Names and values.

    >>> with with_context(order=7):
    ...     context = child(item="lamp")
    >>> with context:
    ...     sorted(get().items())
    [('item', 'lamp'), ('order', 7)]
    """
    return with_context(**{**get(), **fields})


class with_context:  # noqa: N801 - used like a function
    """Adds fields to the error context within a block.

    In the body of a generator they also hold in its consumer, between two items, as fields
    of structlog do.

    Args:
        fields: Names and values; in the block they replace those of the same name.

    >>> with with_context(order=7):
    ...     get()
    {'order': 7}
    """

    __slots__ = ("_entered", "_fields")

    def __init__(self, /, **fields: object) -> None:
        self._fields = fields
        # The blocks that are open: one may be entered again within itself, or in other threads.
        self._entered: list[Scope] = []

    def __enter__(self) -> with_context:  # noqa: PYI034 - typing.Self came with Python 3.11
        self._entered.append(enter_block(self._fields))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            enrich(error)
        exit_block(self._entered)


class _Kept(NamedTuple):
    """What `enrich` has added to an exception.

    Attributes:
        trace_id: The trace in which it passed; 0 for none.
        work: The outermost block in which it passed; 0 for none.
        fields: The fields that held there.
        note: The note.
    """

    trace_id: int
    work: int
    fields: dict[str, object]
    note: str


def enrich(error: BaseException, span: Span | None = None) -> dict[str, object]:
    """Add the fields that hold here to an exception, as a note; never raises.

    An exception that has some already keeps them: those of the innermost block. One that a
    program raises again in other work, such as one object for all requests, gets new ones:
    in another trace, or without tracing in another outermost block.

    Args:
        error: The exception. Before Python 3.11 no traceback shows the note.
        span: The span that it leaves; by default the current one.

    Returns:
        The fields that it has, as attributes for its exception event.

    >>> with with_context(order=7):
    ...     error = ValueError("declined")
    ...     enrich(error)
    {'order': 7}
    >>> error.__notes__
    ['error context: order=7']
    """
    fields: dict[str, object] = {}
    try:
        context = (get_current_span() if span is None else span).get_span_context()
        work = current_work()
        kept = _kept_by(error)
        if kept is not None and _is_same(kept.trace_id, context.trace_id, kept.work, work):
            return dict(kept.fields)
        fields = {name: _attribute(value) for name, value in get().items()}
        if fields or kept is not None:
            _keep(error, _Kept(context.trace_id, work, fields, _note(fields)), kept)
    except Exception as problem:  # noqa: BLE001 - its class may be hostile
        report_problem("error context: an exception gets no note", problem)
    return dict(fields)


def keep_fields(error: BaseException) -> None:
    """Let an exception keep its fields in the trace and block that it comes to; never raises.

    Called where it has left a trace for the one around it.
    """
    try:
        kept = _kept_by(error)
        if kept is not None:
            trace_id = get_current_span().get_span_context().trace_id
            setattr(error, _KEPT, tuple(kept._replace(trace_id=trace_id, work=current_work())))
    except Exception as problem:  # noqa: BLE001 - its class may be hostile
        report_problem("error context: an exception loses its fields", problem)


def _is_same(trace_id: int, trace_id_now: int, work: int, work_now: int) -> bool:
    if trace_id and trace_id_now:
        return trace_id == trace_id_now
    return work == work_now if work_now else not trace_id_now


def _kept_by(error: BaseException) -> _Kept | None:
    # A plain tuple, since a process without this package may unpickle the exception.
    found = vars(error).get(_KEPT)
    return _Kept(*found) if type(found) is tuple else None


def _keep(error: BaseException, kept: _Kept, before: _Kept | None) -> None:
    setattr(error, _KEPT, tuple(kept))
    old = None if before is None else before.note
    notes = [note for note in vars(error).get("__notes__", ()) if note != old]
    error.__notes__ = [*notes, kept.note] if kept.fields else notes  # type: ignore[attr-defined]


def _note(fields: Mapping[str, object]) -> str:
    text = _NOTE + ", ".join(f"{name}={value!r}" for name, value in sorted(fields.items()))
    return text[:_MAX_NOTE]


def _attribute(value: object) -> object:
    """Return a value that an attribute of a span event can have."""
    if type(value) is str:
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
    return value if type(value) in {int, float, bool} else short_repr(value)
