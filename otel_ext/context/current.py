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
    "take_ending",
]

X = TypeVar("X")

Attributes: TypeAlias = "Mapping[str, AttributeValue]"

Opener: TypeAlias = "Callable[[tuple[Any, ...], dict[str, Any]], Span]"
"""Starts the span of a call; it gets the positional and the keyword arguments."""

Left: TypeAlias = "tuple[Token[Context], Context]"
"""What `leave` needs: the token of the context variable, and the context before."""

Opened: TypeAlias = "tuple[Span, Left | None, X]"
"""A block that is open: its span, what `leave` needs unless tracing is off, and its own part."""

_SCOPE: Final = "otel_ext"


class _Known:
    """The tracer of the provider that was last seen; None if that makes no spans."""

    provider: object = None
    tracer: Tracer | None = None


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
    provider = get_tracer_provider()
    if provider is not _known.provider:
        _remember(provider)
    tracer = _known.tracer
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
        plain = {str(key): attribute_of(value) for key, value in (attributes or {}).items()}
        return tracer.start_span(name, context, attributes=plain, links=links)
    except Exception:  # noqa: BLE001 - a sampler or processor may be third-party code
        report_problem("a span could not be started", error)
        return INVALID_SPAN


def has_ended(span: Span) -> bool:
    """Whether a span has ended, as far as it is known: one that is not sampled has no end."""
    return getattr(span, "end_time", None) is not None


def _remember(provider: TracerProvider) -> None:
    tracer: Tracer | None = None
    if not isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)):
        try:
            tracer = provider.get_tracer(_SCOPE)
        except Exception as error:  # noqa: BLE001 - a provider may be third-party code
            report_problem("a provider has no tracer", error)
    # The proxy becomes another provider later; it is asked again each time.
    _known.tracer = None if isinstance(tracer, NoOpTracer) else tracer
    _known.provider = provider


def enter(span: Span) -> Left:
    """Make `span` the current one; return what `leave` needs."""
    before = get_current()
    return attach(set_span_in_context(span, before)), before


def leave(left: Left, span: Span | None = None) -> None:
    """Make the span current again that was before `enter`; never raises.

    Where `span` is not the current one, there may be nothing to restore: the garbage
    collector can close a generator on any thread, and long after the block around it.

    Args:
        left: What `enter` returned.
        span: The span of `enter`, unless the block is known to end where it began.
    """
    token, before = left
    try:
        if (
            span is not None
            and get_current_span(token.var.get()) is not span
            and has_ended(get_current_span(before))
        ):
            return
        token.var.reset(token)
    except (ValueError, RuntimeError):  # in another task or thread
        if span is None or get_current_span() is span:
            attach(before)
    except AttributeError:  # another kind of context than contextvars
        detach(token)


def take_ending(opened: list[Opened[X]]) -> Opened[X] | None:
    """Remove and return the block that ends here: that of the current span, or else the last.

    Args:
        opened: The open blocks of one object, which may be entered again within itself, or
            in several tasks and threads. Nothing is returned if there is none.
    """
    if not opened:
        return None
    ending, current = opened[-1], get_current_span()
    if ending[0] is not current:
        ending = next((one for one in reversed(opened.copy()) if one[0] is current), ending)
    opened.remove(ending)
    return ending
