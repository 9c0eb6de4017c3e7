"""How long the fields of the error context hold: the blocks and spans that are open here.

A context variable has the innermost scope, and each scope the one around it. A scope that
ends undoes what it and the scopes within it have set, also those that were left open, such
as that of an abandoned generator. One that ends late, or in another task or thread, changes
nothing there that is not its own.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import INVALID_SPAN, get_current_span
from structlog.contextvars import bind_contextvars

from otel_ext.context.scope import Scope
from otel_ext.runtime.listeners import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from otel_ext.record.model import Record

__all__ = [
    "add_fields",
    "current_work",
    "drop_ended",
    "drop_span",
    "enter_block",
    "exit_block",
    "hear",
]

_innermost: Final[ContextVar[Scope | None]] = ContextVar("otel_ext_error_scope", default=None)
# How many scopes of other tasks and spans are kept between one that `set` makes and its block.
_MOST_WITHIN: Final = 16
# Records are listened to while there are any.
_until_span_ends: Final[weakref.WeakSet[Scope]] = weakref.WeakSet()


def enter_block(fields: Mapping[str, object], span: Span | None = None) -> Scope:
    """Set fields until `exit_block`.

    Args:
        fields: Names and values.
        span: The span that is current in the block; by default that of now.
    """
    outer = drop_ended()
    tokens = bind_contextvars(**fields)
    scope = Scope(outer, span or get_current_span(), fields, tokens, is_block=True)
    _innermost.set(scope)
    return scope


def exit_block(entered: list[Scope]) -> None:
    """End a block, and what was left open within it.

    Args:
        entered: The open blocks of one `with_context`, maybe in several tasks and threads.
            The innermost of those that are open here is ended and removed.
    """
    top = found = _innermost.get()
    while found is not None and found not in entered:
        found = found.outer
    if found is None:
        # A block around it has ended it, or it was entered in another task or thread.
        if entered:
            ended = next((one for one in entered if one.is_closed), entered[-1])
            ended.is_closed = True
            with suppress(ValueError):  # another thread may have removed it
                entered.remove(ended)
        return
    entered.remove(found)
    found.is_closed = True
    while top is not None and top is not found:
        top.undo(by_value=True)
        top.is_closed = True
        top = top.outer
    if found.undo(by_value=True):
        found.tokens = {}  # they would keep the variables of a task that has ended
    _innermost.set(found.outer)
    drop_ended()


def add_fields(fields: Mapping[str, object]) -> None:
    """Set fields until the block or the span around the caller ends, the inner of the two."""
    outer = drop_ended()
    span = get_current_span()
    block = outer
    while block is not None and not block.is_block:
        block = block.outer
    in_span = span is not INVALID_SPAN and (block is None or block.span() is not span)
    tokens = bind_contextvars(**fields)
    if (
        outer is not None
        and not outer.is_block
        and outer.ends_with_span == in_span
        and (not in_span or outer.span() is span)
        and outer.is_home()
    ):
        # A field that was set before is restored to its value before that.
        tokens = {**tokens, **outer.tokens}
        fields = {**outer.fields, **fields}
        outer = outer.outer
    elif outer is not None and outer.depth >= _MOST_WITHIN:
        outer = block  # tasks that start each other would make an endless chain
    scope = Scope(outer, span, fields, tokens, is_block=False)
    scope.ends_with_span = in_span
    scope.trace_id = span.get_span_context().trace_id
    scope.come_home()
    _innermost.set(scope)
    if in_span:
        _until_span_ends.add(scope)
        if hear not in LISTENERS.active:
            LISTENERS.add(hear)


def drop_ended(trace_id: int | None = None) -> Scope | None:
    """Undo what should no longer hold here; return the innermost scope that is left.

    Args:
        trace_id: The trace of the work here; by default that of the current span.
    """
    scope = top = _innermost.get()
    while scope is not None and scope.has_ended(trace_id):
        scope.undo(by_value=scope.ends_with_span)
        scope = scope.outer
    if scope is not top:
        _innermost.set(scope)
    return scope


def current_work() -> int:
    """Return what tells the work of the outermost block here from all other work; 0 without."""
    scope = drop_ended()
    return 0 if scope is None else scope.work


def drop_span(span: Span) -> None:
    """Undo what `set` has set in a span that ends now."""
    scope = top = _innermost.get()
    while scope is not None and scope.ends_with_span and scope.span() is span:
        scope.undo(by_value=True)
        scope = scope.outer
    if scope is not top:
        _innermost.set(scope)


def hear(record: Record) -> None:
    """Drop the fields of a span that has ended, such as that of an instrumentation."""
    if record.phase is not None and _innermost.get() is not None:
        # A span that starts is not the current one yet.
        drop_ended(int(record.trace_id, 16) if record.phase == "start" else None)
    if not _until_span_ends:
        LISTENERS.remove(hear)
        if _until_span_ends:  # another thread has set a field meanwhile
            LISTENERS.add(hear)
