"""How long the fields of the error context hold: the blocks and spans that are open here.

A context variable has the innermost scope, and each scope the one around it. A scope that
ends undoes what it and the scopes within it have set, also those that were left open, such
as that of an abandoned generator. One that ends late, or in another task or thread, changes
nothing there that is not its own.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import INVALID_SPAN, get_current_span
from structlog.contextvars import bind_contextvars, unbind_contextvars

from otel_ext.runtime.listeners import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

    from otel_ext.record.model import Record

__all__ = [
    "Scope",
    "add_fields",
    "current_work",
    "drop_ended",
    "drop_span",
    "enter_block",
    "exit_block",
    "hear",
]

_home: Final[ContextVar[None]] = ContextVar("otel_ext_error_scope_home", default=None)


class Scope:
    """Fields that hold until a block or a span ends.

    Args:
        outer: The scope around it.
        span: The span that is current at its start.
        fields: By their names, the values that are set.
        tokens: By the same names, what restores the values before.

    Attributes:
        is_block: Whether it is a block. Else `set` has made it.
        is_closed: Whether the block has ended, maybe in another task or thread.
        work: A number that the scopes within one outermost block share; 0 outside of any.
        ends_with_span: Whether it ends with the span; else with the block around it.
    """

    __slots__ = (
        "ends_with_span",
        "fields",
        "home",
        "is_block",
        "__weakref__",
        "is_closed",
        "outer",
        "span",
        "tokens",
        "trace_id",
        "work",
    )

    def __init__(
        self,
        outer: Scope | None,
        span: Span,
        fields: Mapping[str, object],
        tokens: Mapping[str, Token[Any]],
        *,
        is_block: bool,
    ) -> None:
        self.outer = outer
        self.span = _reference(span)
        self.fields = fields
        self.tokens = tokens
        self.is_block = is_block
        self.work = 0 if outer is None else outer.work
        if is_block and not self.work:
            self.work = next(_works)
        self.is_closed = False
        self.ends_with_span = False
        self.trace_id = 0
        self.home: Token[None] | None = None

    def undo(self, *, by_value: bool) -> bool:
        """Restore the values before; return whether this is the task or thread that set them.

        Args:
            by_value: Elsewhere, restore those that still have the value of this scope.
        """
        is_home = True
        for name, token in self.tokens.items():
            try:
                token.var.reset(token)
            except (ValueError, RuntimeError):
                is_home = False
                if by_value and token.var.get(None) is self.fields[name]:
                    _rebind(name, token.old_value)
        return is_home

    def is_home(self) -> bool:
        """Whether `set` has made it in this task or thread; asked at most until it has."""
        try:
            if self.home is not None:
                _home.reset(self.home)
        except (ValueError, RuntimeError):
            return False
        return self.home is not None

    def has_ended(self, trace_id: int | None = None) -> bool:
        """Whether its fields should no longer hold here.

        Args:
            trace_id: The trace of the work here; by default that of the current span.
        """
        if self.is_block:
            return self.is_closed
        if not self.ends_with_span:
            return self.outer is not None and self.outer.is_closed
        span = self.span()
        is_over = span is None or getattr(span, "end_time", None) is not None
        if not is_over and span is not None and span.is_recording():
            return False
        # In tasks that outlive the span, its fields hold until they turn to another trace.
        if trace_id is None:
            trace_id = get_current_span().get_span_context().trace_id
        return trace_id not in {0, self.trace_id} or (is_over and self.is_home())


_innermost: Final[ContextVar[Scope | None]] = ContextVar("otel_ext_error_scope", default=None)
_works: Final = count(1)
# Records are listened to while there are any.
_until_span_ends: Final[weakref.WeakSet[Scope]] = weakref.WeakSet()


def enter_block(fields: Mapping[str, object]) -> Scope:
    """Set fields until `exit_block`."""
    outer = drop_ended()
    scope = Scope(outer, get_current_span(), fields, bind_contextvars(**fields), is_block=True)
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
        # It was entered in another task or thread, or a block around it has ended it.
        if entered:
            entered.pop().is_closed = True
        return
    entered.remove(found)
    found.is_closed = True
    while top is not None and top is not found:
        top.undo(by_value=True)
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
    scope = Scope(outer, span, fields, tokens, is_block=False)
    scope.ends_with_span = in_span
    scope.trace_id = span.get_span_context().trace_id
    scope.home = _home.set(None)
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


def _reference(span: Span) -> Callable[[], Span | None]:
    try:
        return weakref.ref(span)
    except TypeError:  # a span of another SDK
        return lambda: span


def _rebind(name: str, value: object) -> None:
    if value is Token.MISSING or value is ...:
        unbind_contextvars(name)
    else:
        bind_contextvars(**{name: value})
