"""Runs each call of a function in a span, whatever kind of function it is.

The wrapper is of the same kind: `inspect` calls that of a generator function a generator
function, and so on. A generator's span lives as long as the iteration, and is the current
one only while its body runs: see `otel_ext.context.iteration`.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from opentelemetry.trace import INVALID_SPAN, get_current_span

from otel_ext.context.current import enter, leave
from otel_ext.context.iteration import wrap_async_generator, wrap_generator
from otel_ext.context.outcome import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from opentelemetry.trace import Span

    from otel_ext.context.current import Left, Opener

__all__ = ["is_wrapped", "wrap"]

P = ParamSpec("P")
R = TypeVar("R")
_MARK: Final = "__otel_ext_in_span__"


def wrap(function: Callable[P, R], opener: Opener) -> Callable[P, R]:
    """Return a function that runs each call of `function` in a span that `opener` starts.

    Args:
        function: A function, coroutine function, generator function or async generator
            function, or such a classmethod or staticmethod.
        opener: Starts the span of a call.
    """
    if isinstance(function, (staticmethod, classmethod)):
        method = cast("staticmethod[..., object] | classmethod[object, ..., object]", function)
        return cast("Callable[P, R]", type(method)(wrap(method.__func__, opener)))
    kinds: tuple[tuple[Callable[[object], bool], Callable[[Any, Opener], Any]], ...] = (
        (inspect.isasyncgenfunction, wrap_async_generator),
        (inspect.iscoroutinefunction, _wrap_coroutine),
        (inspect.isgeneratorfunction, wrap_generator),
    )
    for is_kind, wrapped in kinds:
        if is_kind(function):
            found: Callable[..., Any] = wrapped(cast("Callable[..., Any]", function), opener)
            code: object = getattr(function, "__code__", None)
            if getattr(code, "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE:
                found = types.coroutine(found)  # a generator that can be awaited
            break
    else:
        found = _wrap_function(function, opener)
    setattr(found, _MARK, True)
    return cast("Callable[P, R]", found)


def is_wrapped(function: object) -> bool:
    """Whether `wrap` has made a function, or one that it is a wrapper of."""
    return getattr(function, _MARK, False) is True


def _wrap_function(function: Callable[P, R], opener: Opener) -> Callable[P, R]:
    @functools.wraps(function)
    def in_span(*args: P.args, **kwargs: P.kwargs) -> R:
        span = opener(args, kwargs)
        if span is INVALID_SPAN:
            return function(*args, **kwargs)
        left = enter(span)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _end(span, left, error)
            raise
        _end(span, left, None, result)
        return result

    return in_span


def _wrap_coroutine(
    function: Callable[P, Coroutine[Any, Any, R]], opener: Opener
) -> Callable[P, Coroutine[Any, Any, R]]:
    @functools.wraps(function)
    async def in_span(*args: P.args, **kwargs: P.kwargs) -> R:
        span = opener(args, kwargs)
        if span is INVALID_SPAN:
            return await function(*args, **kwargs)
        left = enter(span)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            _end(span, left, error)
            raise
        _end(span, left, None, result)
        return result

    return in_span


def _end(span: Span, left: Left, error: BaseException | None, result: object = None) -> None:
    leave(left, is_current=get_current_span() is span)
    finish(span, error, result)
