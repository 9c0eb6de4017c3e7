"""Runs a generator in a span that is the current one only while its body runs.

Between two items the consumer runs, in its own context; that of the body, with what the
body has changed in it, waits here for the next item. The span lives as long as the
iteration: until the generator returns, raises, is closed, or is collected as garbage.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from opentelemetry.context import attach, get_current
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from otel_ext.context.current import restore
from otel_ext.context.outcome import finish

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from opentelemetry.context import Context

    from otel_ext.context.current import Opener

__all__ = ["wrap_async_generator", "wrap_generator"]

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")


def wrap_generator(
    function: Callable[P, Generator[Y, S, R]], opener: Opener
) -> Callable[P, Generator[Y, S, R]]:
    """Return a generator function that runs the bodies of `function` in spans.

    Args:
        function: A generator function.
        opener: Starts the span of an iteration, when its first item is requested.
    """

    @functools.wraps(function)
    def in_span(*args: P.args, **kwargs: P.kwargs) -> Generator[Y, S, R]:
        body = function(*args, **kwargs)
        span = opener(args, kwargs)
        del args, kwargs  # the body keeps those that it needs
        if span is INVALID_SPAN:
            return (yield from body)
        inside = set_span_in_context(span)
        step: Callable[[Any], Y] = body.send
        value: object = None
        try:
            while True:
                before = get_current()
                token = attach(inside)
                try:
                    items = [step(value)]
                finally:
                    value = None  # an exception would keep this frame, and so itself
                    inside = get_current()
                    restore((token, before))
                try:
                    value, step = (yield items.pop()), body.send
                except GeneratorExit as stop:
                    returned = _close(body, inside)
                    if returned is None:
                        raise
                    finish(span, stop)
                    return returned
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer
                    value, step = error, cast("Callable[[Any], Y]", body.throw)
        except StopIteration as done:
            result: R = done.value
            finish(span, None, result)
            return result
        except BaseException as error:
            finish(span, error)
            raise

    return in_span


def wrap_async_generator(
    function: Callable[P, AsyncGenerator[Y, S]], opener: Opener
) -> Callable[P, AsyncGenerator[Y, S]]:
    """Return an async generator function that runs the bodies of `function` in spans.

    Args:
        function: An async generator function.
        opener: Starts the span of an iteration, when its first item is requested.
    """

    @functools.wraps(function)
    async def in_span(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Y, S]:
        body = function(*args, **kwargs)
        span = opener(args, kwargs)
        del args, kwargs  # the body keeps those that it needs
        inside = None if span is INVALID_SPAN else set_span_in_context(span)
        step: Callable[[Any], Any] = functools.partial(_start, body)
        value: object = None
        try:
            while True:
                before = get_current()
                token = None if inside is None else attach(inside)
                try:
                    items: list[Y] = [await step(value)]
                finally:
                    value = None  # an exception would keep this frame, and so itself
                    if token is not None:
                        inside = get_current()
                        restore((token, before))
                try:
                    value, step = (yield items.pop()), body.asend
                except GeneratorExit:
                    await _close_async(body, inside)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer
                    value, step = error, cast("Callable[[Any], Any]", body.athrow)
        except StopAsyncIteration:
            finish(span, None)
        except BaseException as error:
            finish(span, error)
            raise

    return in_span


def _close(body: Generator[Any, Any, R], inside: Context) -> R | None:
    """Close a body; return what it returns then, which Python 3.13 passes on."""
    before = get_current()
    token = attach(inside)
    try:
        return cast("R | None", body.close())
    finally:
        restore((token, before))


async def _start(body: AsyncGenerator[Y, Any], _value: object) -> Y:
    """Request the first item of a body, which is closed with its wrapper only.

    The event loop is to know the wrapper alone: at its end it closes all that it knows at
    the same time, and would find the body being closed by the wrapper.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        first = body.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)
    return await first


async def _close_async(body: AsyncGenerator[Any, Any], inside: Context | None) -> None:
    before = get_current()
    token = attach(before if inside is None else inside)
    try:
        await body.aclose()
    finally:
        restore((token, before))
