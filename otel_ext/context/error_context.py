"""Error context: facts about the work at hand, such as an order's number.

They are in every log, on structlog's context variables, and in every exception that
leaves the block: as a note in its traceback, and in the exception event of its span.
Fields of `with_context` end with its block. Those of `set` end with the block around it;
without one, with the trace in which they were set, or else with the task or thread.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from opentelemetry.trace import get_current_span
from structlog.contextvars import bind_contextvars, get_contextvars, unbind_contextvars

from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any

    from opentelemetry.trace import Span

__all__ = ["child", "enrich", "get", "set", "with_context"]

_NOTE: Final = "error context: "
_KEPT: Final = "_otel_ext_error_context"
_MAX_TEXT: Final = 500
_MAX_NOTE: Final = 2_000
_IN_BLOCK: Final = -1
_NO_TRACE: Final = 0


class _Changes(NamedTuple):
    """What `set` has changed since the block began, or else in which trace.

    Attributes:
        tokens: By the name of the field, what restores it.
        trace_id: The trace, `_NO_TRACE` or `_IN_BLOCK`.
        span: The span that was current.
    """

    tokens: Mapping[str, Token[Any]]
    trace_id: int
    span: Callable[[], Span | None] = lambda: None


_BLOCK: Final = _Changes(MappingProxyType({}), _IN_BLOCK)
_changes: Final[ContextVar[_Changes | None]] = ContextVar("otel_ext_error_context", default=None)


def set(**fields: object) -> None:  # noqa: A001 - `error_context.set` reads as it should
    """Add fields to the error context, until the block or trace around it ends.

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
    _drop_stale()
    tokens = bind_contextvars(**fields)
    changes = _changes.get()
    if changes is None:
        span = get_current_span()
        changes = _Changes({}, span.get_span_context().trace_id, weakref.ref(span))
    # A field that was set before is restored to its value before that.
    _changes.set(changes._replace(tokens={**tokens, **changes.tokens}))


def get() -> dict[str, object]:
    """Return the fields that hold here.

    >>> with with_context(order=7), with_context(item="lamp"):
    ...     sorted(get().items())
    [('item', 'lamp'), ('order', 7)]
    """
    _drop_stale()
    return get_contextvars()


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

    Args:
        fields: Names and values; in the block they replace those of the same name.

    >>> with with_context(order=7):
    ...     get()
    {'order': 7}
    """

    __slots__ = ("_entered", "_fields")

    def __init__(self, **fields: object) -> None:
        self._fields = fields
        # The blocks that are open, since one may be entered again within itself.
        self._entered: list[tuple[Mapping[str, Token[Any]], _Changes | None]] = []

    def __enter__(self) -> with_context:  # noqa: PYI034 - typing.Self came with Python 3.11
        before = _changes.get()
        if before is not None:
            _drop_stale()
            before = _changes.get()
        self._entered.append((bind_contextvars(**self._fields), before))
        _changes.set(_BLOCK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            enrich(error)
        tokens, before = self._entered.pop()
        changes = _changes.get()
        if changes is not None and changes is not _BLOCK:
            _restore(changes.tokens)
        _restore(tokens)
        _changes.set(before)


def enrich(error: BaseException) -> dict[str, object]:
    """Add the fields that hold here to an exception, as a note, unless it has some already.

    Args:
        error: The exception. Before Python 3.11 no traceback shows the note.

    Returns:
        The fields that it has, as attributes for its exception event.

    >>> with with_context(order=7):
    ...     error = ValueError("declined")
    ...     enrich(error)
    {'order': 7}
    >>> error.__notes__
    ['error context: order=7']
    """
    kept = cast("dict[str, object] | None", getattr(error, _KEPT, None))
    if kept is not None:
        return dict(kept)
    fields = {name: _attribute(value) for name, value in get().items()}
    if fields:
        try:
            setattr(error, _KEPT, fields)
            _add_note(error, fields)
        except Exception:  # noqa: BLE001, S110 - its class may allow no attributes
            pass
    return dict(fields)


def _add_note(error: BaseException, fields: Mapping[str, object]) -> None:
    text = _NOTE + ", ".join(f"{name}={value!r}" for name, value in fields.items())
    notes = getattr(error, "__notes__", None)
    error.__notes__ = [*(notes or ()), text[:_MAX_NOTE]]  # type: ignore[attr-defined]


def _attribute(value: object) -> object:
    """Return a value that an attribute of a span event can have."""
    if type(value) is str:
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
    return value if type(value) in {int, float, bool} else short_repr(value)


def _drop_stale() -> None:
    """Restore what `set` changed in a trace that is over; the next request has another."""
    changes = _changes.get()
    if changes is None or changes.trace_id in {_NO_TRACE, _IN_BLOCK}:
        return
    if get_current_span().get_span_context().trace_id == changes.trace_id:
        return
    span = changes.span()
    if span is not None and span.is_recording():
        return  # another trace within it
    _restore(changes.tokens)
    _changes.set(None)


def _restore(tokens: Mapping[str, Token[Any]]) -> None:
    for name, token in tokens.items():
        try:
            token.var.reset(token)
        except (ValueError, RuntimeError):  # entered in another task or thread, or used before
            value = token.old_value
            if value is Token.MISSING or value is ...:
                unbind_contextvars(name)
            else:
                bind_contextvars(**{name: value})
