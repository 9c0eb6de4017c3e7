"""Defines `SequentialIdGenerator`, whose ids a test can predict."""

from __future__ import annotations

from itertools import count

from opentelemetry.sdk.trace.id_generator import IdGenerator

__all__ = ["SequentialIdGenerator"]


class SequentialIdGenerator(IdGenerator):
    """Numbers traces 1, 2, 3 and so on, and spans too, in the order of their starts.

    Threads can share one: no id is returned twice.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> provider = TracerProvider(id_generator=SequentialIdGenerator(), shutdown_on_exit=False)
    >>> context = provider.get_tracer("shop").start_span("order").get_span_context()
    >>> f"{context.trace_id:032x}"[-4:], f"{context.span_id:016x}"[-4:]
    ('0001', '0001')
    """

    def __init__(self) -> None:
        self._traces = count(1)
        self._spans = count(1)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)
