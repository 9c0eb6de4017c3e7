"""Defines `FakeClock`, which a test advances, so that times and durations are exact."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.trace import Span, SpanKind, Tracer
    from opentelemetry.util.types import AnyValue

__all__ = ["FakeClock"]

_SECOND = 1_000_000_000


class FakeClock:
    """A clock that stands still until `advance` is called. It does not replace Python's clocks.

    Args:
        start_ns: The time it starts with, nanoseconds since the epoch. Default:
            2026-01-01T00:00:00Z.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> clock = FakeClock()
    >>> tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    >>> with clock.span(tracer, "order") as span:
    ...     clock.advance(1.5)
    >>> span.end_time - span.start_time
    1500000000
    """

    def __init__(self, start_ns: int = 1_767_225_600 * _SECOND) -> None:
        self._now_ns = start_ns

    def time_ns(self) -> int:
        """Return its time in nanoseconds since the epoch, as `time.time_ns` does."""
        return self._now_ns

    def monotonic(self) -> float:
        """Return its time in seconds, as `time.monotonic` does."""
        return self._now_ns / _SECOND

    def advance(self, seconds: float) -> None:
        """Advance the time.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds={seconds}: a clock does not go back")
        self._now_ns += round(seconds * _SECOND)

    @contextmanager
    def span(
        self,
        tracer: Tracer,
        name: str,
        *,
        kind: SpanKind = trace.SpanKind.INTERNAL,
        attributes: Mapping[str, AnyValue] | None = None,
    ) -> Generator[Span]:
        """Run a span that starts and ends at this clock's time, as the current span.

        Args:
            tracer: Starts the span.
            name: Its name.
            kind: Its kind.
            attributes: Its attributes at the start.
        """
        span = tracer.start_span(name, kind=kind, attributes=attributes, start_time=self._now_ns)
        try:
            with trace.use_span(span):
                yield span
        finally:
            span.end(self._now_ns)
