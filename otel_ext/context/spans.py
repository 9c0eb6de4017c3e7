"""`with_span`: runs a block or a function in a span that always ends with the right status."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context.async_block import AsyncBlock
from otel_ext.context.current import enter, leave, open_span, take_ending
from otel_ext.context.outcome import finish
from otel_ext.context.wrapping import wrap
from otel_ext.errors import ConfigError
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_ext.context.current import Opened

__all__ = ["with_span"]

P = ParamSpec("P")
R = TypeVar("R")
_OFF: Final = (INVALID_SPAN, None, INVALID_SPAN)


class with_span(AsyncBlock):  # noqa: N801 - used like a function
    """Runs a block in a span, with `with` or `async with`, or each call of a function.

    The span ends with the block: with status `ok`, with `error` if an exception leaves it,
    or as a failure if the block calls `mark_failure`. `otel_ext.context.outcome` lists what
    cancellation, `SystemExit` and others do. As a decorator it takes functions, coroutine
    functions and generators, as `auto_span` does.

    Args:
        name: The span's name.
        attributes: Its attributes at the start; for names with dots, `**{"http.route": "/"}`.

    >>> with with_span("charge", order=7) as span:
    ...     span.set_attribute("amount", 12)
    >>> @with_span("add up")
    ... def total(prices: list[int]) -> int:
    ...     return sum(prices)
    >>> total([1, 2])
    3
    """

    __slots__ = ("_attributes", "_name", "_opened")

    def __init__(self, name: str, /, **attributes: AttributeValue) -> None:
        self._name = name
        self._attributes = attributes
        self._opened: list[Opened[Span]] = []

    def __enter__(self) -> Span:
        """Start the span and make it the current one."""
        span = open_span(self._name, self._attributes)
        opened = _OFF if span is INVALID_SPAN else (span, enter(span), span)
        self._opened.append(opened)
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the span."""
        opened = self._opened
        if len(opened) == 1 and opened[0] is _OFF:  # as always while tracing is off
            del opened[:1]
            return
        current = get_current_span()
        ending = take_ending(opened, current)
        if ending is not None and ending[1] is not None:
            span = ending[2]
            leave(ending[1], is_current=span is current)
            finish(span, error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Run each call of `function` in a span.

        Raises:
            ConfigError: It is a class.
        """
        if inspect.isclass(function):
            raise ConfigError(
                f"with_span cannot decorate {short_repr(function)}", hint="Use auto_span."
            )
        name, attributes = self._name, self._attributes
        return wrap(function, lambda _args, _kwargs: open_span(name, attributes))
