"""A tracer provider that makes way for the program's own.

Under `otel-ext run` a provider is in place before the program starts, so that
instrumentations have one. A program that then sets its own is refused by the API
(it can be set once), and its exporters would get nothing. Here the refused
provider takes over instead: every tracer handed out so far becomes one of its
tracers, our processor is added to it, and the warning is not logged.

How the refusal is noticed: the API logs it, and a filter on that logger sees the
call. Where the program has silenced the logger, it stays what it is without
this module: the program's provider gets only what it is used for directly.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.util.types import Attributes

__all__ = ["AdoptingTracerProvider", "set_adopting_provider"]

_REFUSALS: Final = "opentelemetry.trace"
_ARGUMENT: Final = "tracer_provider"


class _HandedOut(NamedTuple):
    """A tracer that somebody may still hold, and what it was asked for with."""

    tracer: weakref.ref[trace.Tracer]
    scope: tuple[str, str | None, str | None, Attributes]


class AdoptingTracerProvider(TracerProvider):
    """Traces as any provider does, until another is to be used in its place.

    Args:
        resource: What the spans are of.
    """

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource=resource, shutdown_on_exit=False)
        self._successor: TracerProvider | None = None
        self._handed_out: dict[int, _HandedOut] = {}
        self._processors: list[SpanProcessor] = []
        atexit.register(self._end)

    @property
    def successor(self) -> TracerProvider | None:
        """The provider that took over, if one did."""
        return self._successor

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        """Return a tracer, which will be the successor's once there is one."""
        scope = (
            instrumenting_module_name,
            instrumenting_library_version,
            schema_url,
            attributes,
        )
        if self._successor is not None:
            return self._successor.get_tracer(*scope)
        tracer = super().get_tracer(*scope)
        # Weakly: a program may ask for a tracer with every request.
        handed_out, number = self._handed_out, id(tracer)
        held = weakref.ref(tracer, lambda _: handed_out.pop(number, None))
        handed_out.setdefault(number, _HandedOut(held, scope))
        return tracer

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor to the provider that is in use."""
        if self._successor is not None:
            self._successor.add_span_processor(span_processor)
            return
        self._processors.append(span_processor)
        super().add_span_processor(span_processor)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the processors of the provider that is in use."""
        if self._successor is not None:
            return self._successor.force_flush(timeout_millis)
        return super().force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut down, the successor first."""
        if self._successor is not None:
            self._successor.shutdown()
        super().shutdown()

    def adopt(self, provider: object) -> bool:
        """Let `provider` take over; whether it does. Only the first one can.

        Args:
            provider: A provider that the program has made.
        """
        if self._successor is not None or provider is self:
            return False
        if not isinstance(provider, TracerProvider):
            return False
        for processor in self._processors:
            provider.add_span_processor(processor)
        self._successor = provider
        for held, scope in list(self._handed_out.values()):
            tracer = held()
            other = provider.get_tracer(*scope)
            if tracer is not None and type(other) is type(tracer):
                # Instrumentations hold on to the tracer they got, so it becomes the other one.
                vars(tracer).update(vars(other))
        return True

    def _end(self) -> None:
        # A successor ends as the program has told it to.
        if self._successor is None:
            super().shutdown()


class _Refusals(logging.Filter):
    """Sees the API refuse a second provider, and offers that one to the first."""

    def __init__(self, provider: AdoptingTracerProvider) -> None:
        super().__init__()
        self._provider = provider

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False where the refusal has been made good, so that it is not logged."""
        try:
            refused = _refused_provider()
            return refused is None or not self._provider.adopt(refused)
        except Exception as error:  # noqa: BLE001 - the program's own call goes on
            report_problem("the program's tracer provider gets no spans of others", error)
            return True


def _refused_provider() -> object:
    """Return what a caller gave to `trace.set_tracer_provider`; None if that is no caller."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is trace.set_tracer_provider.__code__:
            return frame.f_locals.get(_ARGUMENT)
        frame = frame.f_back
    return None


def set_adopting_provider() -> None:
    """Set a provider that makes way for the program's own, if there is none yet."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    provider = AdoptingTracerProvider(Resource.create())
    trace.set_tracer_provider(provider)
    if trace.get_tracer_provider() is provider:
        logging.getLogger(_REFUSALS).addFilter(_Refusals(provider))
