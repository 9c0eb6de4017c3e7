"""Starts spans and makes them the current one, on OpenTelemetry's own context.

The pieces that `with_span`, `auto_span`, `start_span` and `trace_context` share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    NoOpTracerProvider,
    ProxyTracerProvider,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)

from otel_ext.context.arguments import attribute_of
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token
    from typing import Any

    from opentelemetry.trace import Link, Span, Tracer, TracerProvider
    from opentelemetry.util.types import AttributeValue

__all__ = [
    "Attributes",
    "Left",
    "Opened",
    "Opener",
    "enter",
    "has_ended",
    "leave",
    "open_span",
    "restore",
    "take_ending",
]

X = TypeVar("X")

Attributes: TypeAlias = "Mapping[str, AttributeValue]"

Opener: TypeAlias = "Callable[[tuple[Any, ...], dict[str, Any]], Span]"
"""Starts the span of a call; it gets the positional and the keyword arguments."""

Left: TypeAlias = "tuple[Token[Context], Context]"
"""What `leave` needs: the token of the context variable, and the context before."""

Opened: TypeAlias = "tuple[object, Left | None, X]"
"""A block that is open: its span, what `leave` needs unless tracing is off, and its own part."""

_SCOPE: Final = "otel_ext"


class _Known:
    """The provider that was last seen, and its tracer; None if that makes no spans."""

    found: tuple[object, Tracer | None] = (None, None)


_known: Final = _Known()


def open_span(
    name: str,
    attributes: Attributes | None,
    context: Context | None = None,
    links: Sequence[Link] = (),
) -> Span:
    """Start a span; never raises.

    Args:
        name: Its name.
        attributes: Its attributes at the start.
        context: What its parent is taken from; by default the current context.
        links: Links to other spans.

    Returns:
        The span; `INVALID_SPAN` if tracing is off.
    """
    try:
        provider = get_tracer_provider()
        found = _known.found
        if provider is not found[0]:
            # One tuple: a thread that sees the provider must not see the tracer of another.
            found = _known.found = (provider, _tracer_of(provider))
    except Exception as error:  # noqa: BLE001 - a provider may be third-party code
        report_problem("no span can be started", error)
        return INVALID_SPAN
    tracer = found[1]
    if tracer is None:
        return INVALID_SPAN
    try:
        return tracer.start_span(name, context, attributes=attributes, links=links)
    except Exception as error:  # noqa: BLE001 - such as an attribute whose `__repr__` raises
        return _open_again(tracer, name, attributes, context, links, error)


def _open_again(
    tracer: Tracer,
    name: str,
    attributes: Attributes | None,
    context: Context | None,
    links: Sequence[Link],
    error: Exception,
) -> Span:
    """Start a span with plain attributes, after the program's own have failed."""
    try:
        given = dict(attributes or {})
        plain = {str(key): attribute_of(value) for key, value in given.items()}
        # Else it was a processor, which may have a started span already.
        if any(plain.get(key) is not value for key, value in given.items()):
            return tracer.start_span(name, context, attributes=plain, links=links)
    except Exception:  # noqa: BLE001, S110 - a sampler or processor may be third-party code
        pass
    report_problem("a span could not be started", error)
    return INVALID_SPAN


def has_ended(span: Span) -> bool:
    """Whether a span has ended, as far as it is known: one that is not sampled has no end."""
    return getattr(span, "end_time", None) is not None


def _tracer_of(provider: TracerProvider) -> Tracer | None:
    # The proxy becomes another provider later; it is asked again each time.
    if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)):
        return None
    tracer = provider.get_tracer(_SCOPE)
    return None if isinstance(tracer, NoOpTracer) else tracer


def enter(span: Span) -> Left:
    """Make `span` the current one; return what `leave` needs."""
    before = get_current()
    return attach(set_span_in_context(span, before)), before


def restore(left: Left) -> bool:
    """Make the context current again that was before `enter`; never raises.

    Returns:
        Whether this is the task or thread of `enter`; elsewhere nothing changes.
    """
    token, _ = left
    try:
        token.var.reset(token)
    except (ValueError, RuntimeError):
        return False
    except AttributeError:  # another kind of context than contextvars
        detach(token)
    return True


def leave(left: Left, *, is_current: bool) -> None:
    """Do the same for a block, which may end in another task or thread; never raises.

    Where the block is not the current one, there may be nothing to restore: the garbage
    collector can close a generator on any thread, and long after the block around it.

    Args:
        left: What `enter` returned.
        is_current: Whether the block's span is the current one.
    """
    before = left[1]
    if not is_current and has_ended(get_current_span(before)):
        return
    if not restore(left) and is_current:
        attach(before)


def take_ending(opened: list[Opened[X]], current: object) -> Opened[X] | None:
    """Remove and return the block that ends here: the current one, or else the last.

    Args:
        opened: The open blocks of one object, which may be entered again within itself, or
            in several tasks and threads. Nothing is returned if no block is open.
        current: The current span, or what else the blocks have at first.
    """
    while opened:
        try:
            ending = opened[-1]
            if ending[0] is not current:
                blocks = reversed(opened.copy())
                ending = next((one for one in blocks if one[0] is current), ending)
            opened.remove(ending)
        except (IndexError, ValueError):  # another thread has taken it
            continue
        return ending
    return None
