"""Measures the helpers for spans and context, each against the same work written by hand."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Result, Table
from otel_ext.context import (
    auto_span,
    propagate_context,
    with_context,
    with_propagated_context,
    with_span,
)
from otel_ext.events import emit, subscribe
from otel_ext.processors import LifecycleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.util.types import AttributeValue

    from otel_ext.record.model import Record

__all__ = ["measure"]

_BLOCK: Final = "with with_span"
_BLOCK_BY_HAND: Final = "with tracer.start_as_current_span"
_FUNCTION: Final = "a function with auto_span"
_FUNCTION_BY_HAND: Final = "a function with start_as_current_span in it"
_FIELDS: Final = "with with_context, two fields"
_FIELDS_BY_HAND: Final = "with structlog's bound_contextvars, two fields"
_CARRIER: Final = "with with_propagated_context, the same baggage as before"
_NEW_CARRIER: Final = "with with_propagated_context, new baggage"
_NO_BUS: Final = "a span with both records, without the event bus"
_BUS: Final = "a span with both records, no subscriber"
_SUBSCRIBED: Final = "a span with both records, a subscriber to other events"
_EMIT: Final = "emit, no subscriber"
_OFF: Final = "with with_span, tracing off"


class _Null:
    """Accepts records and keeps none."""

    never_waits = True
    never_starts_spans = True

    def export(self, record: Record) -> None:
        """Accept one record."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing."""
        return True

    def shutdown(self) -> None:
        """Do nothing."""


class _WithoutBus(LifecycleSpanProcessor):
    """The same processor without the choice that the event bus makes necessary."""

    def _choose_export(self) -> None:
        self._export = self._only_export


def measure(effort: Effort) -> Result:
    """Measure the helpers."""
    result = Result(
        "helpers",
        "Helpers for spans and context",
        "Each helper against the same work by hand, with the SDK alone unless records are named;"
        " spans have two attributes. Microseconds of CPU, all threads.",
    )
    rounds = effort.pick(full=61, quick=3, tiny=1)
    times = effort.pick(full=2_000, quick=500, tiny=10)
    # Before there is a provider: it can be set once.
    off = alternate([Case(_OFF, _repeat(_in_span))], rounds=rounds, count=times)
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    with Cases(cases := _cases()):
        costs = {**off, **alternate(cases, rounds=rounds, count=times)}
    cpu = {name: [cost.cpu for cost in found] for name, found in costs.items()}
    rows = [
        [name, summarise([value / 1_000 for value in found]).show()] for name, found in cpu.items()
    ]
    result.tables.append(Table("Helpers", ["", "µs"], rows))
    for key, of, to in (
        ("with_span over start_as_current_span", _BLOCK, _BLOCK_BY_HAND),
        ("auto_span over by hand", _FUNCTION, _FUNCTION_BY_HAND),
        ("with_context over bound_contextvars", _FIELDS, _FIELDS_BY_HAND),
        ("bus without subscribers over none", _BUS, _NO_BUS),
    ):
        result.figures[key] = ratios(cpu[of], cpu[to])
    for key, name in (
        ("restoring a carrier, µs", _CARRIER),
        ("restoring a carrier with new baggage, µs", _NEW_CARRIER),
        ("with_span off, µs", _OFF),
    ):
        result.figures[key] = summarise([value / 1_000 for value in cpu[name]])
    return result


def _repeat(work: Callable[[], object]) -> Callable[[int], None]:
    def repeat(times: int) -> None:
        for _ in range(times):
            work()

    return repeat


def _in_span() -> None:
    with with_span("GET /orders", order=7, customer="ann"):
        pass


@auto_span
def _decorated() -> None:
    """Do nothing, in a span."""


def _cases() -> list[Case]:
    """Return the cases, after the provider was set."""
    return [*_block_cases(), *_context_cases(), *_bus_cases()]


def _block_cases() -> list[Case]:
    tracer = trace.get_tracer("benchmark")

    def by_hand() -> None:
        attributes: dict[str, AttributeValue] = {"order": 7, "customer": "ann"}
        with tracer.start_as_current_span("GET /orders", attributes=attributes):
            pass

    def function_by_hand() -> None:
        with tracer.start_as_current_span("function_by_hand"):
            pass

    return [
        Case(_BLOCK, _repeat(_in_span)),
        Case(_BLOCK_BY_HAND, _repeat(by_hand)),
        Case(_FUNCTION, _repeat(_decorated)),
        Case(_FUNCTION_BY_HAND, _repeat(function_by_hand)),
    ]


def _context_cases() -> list[Case]:
    def fields() -> None:
        with with_context(order=7, customer="ann"):
            pass

    def fields_by_hand() -> None:
        with structlog.contextvars.bound_contextvars(order=7, customer="ann"):
            pass

    token = attach(set_baggage("customer", "ann"))
    with with_span("checkout"), with_context(order=7):
        carrier = propagate_context()
    detach(token)

    def restored() -> None:
        with with_propagated_context(carrier):
            pass

    numbers = count()

    def restored_anew() -> None:
        with with_propagated_context({**carrier, "baggage": f"customer={next(numbers)}"}):
            pass

    return [
        Case(_FIELDS, _repeat(fields)),
        Case(_FIELDS_BY_HAND, _repeat(fields_by_hand)),
        Case(_CARRIER, _repeat(restored)),
        Case(_NEW_CARRIER, _repeat(restored_anew)),
    ]


def _bus_cases() -> list[Case]:
    spans = _spans(LifecycleSpanProcessor)

    def subscribed(times: int) -> None:
        with subscribe("cache.miss", print, inline=True):
            spans(times)

    return [
        Case(_NO_BUS, _spans(_WithoutBus)),
        Case(_BUS, spans),
        Case(_SUBSCRIBED, subscribed),
        Case(_EMIT, _repeat(lambda: emit("cache.miss"))),
    ]


def _spans(kind: type[LifecycleSpanProcessor]) -> Callable[[int], None]:
    """Return a function that makes spans recorded by a processor of this kind."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kind(_Null()))
    tracer = provider.get_tracer("benchmark")

    def spans(times: int) -> None:
        for number in range(times):
            tracer.start_span("GET /orders", attributes={"order": number}).end()

    return spans
