"""`Scope`: fields of the error context that hold until a block or span ends."""

from __future__ import annotations

import weakref
from contextvars import ContextVar, Token
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import get_current_span
from structlog.contextvars import bind_contextvars, unbind_contextvars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

__all__ = ["Scope"]

_home: Final[ContextVar[None]] = ContextVar("otel_ext_error_scope_home", default=None)
_works: Final = count(1)


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
        depth: How many scopes that `set` has made are between it and the block around it.
        work: A number that the scopes within one outermost block share; 0 outside of any.
        ends_with_span: Whether it ends with the span; else with the block around it.
    """

    __slots__ = (
        "__weakref__",
        "depth",
        "ends_with_span",
        "fields",
        "home",
        "is_block",
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
        self.depth: int = 0 if is_block or outer is None else outer.depth + 1
        self.work: int = 0 if outer is None else outer.work
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

    def come_home(self) -> None:
        """Note that `set` makes it in this task or thread."""
        self.home = _home.set(None)

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
