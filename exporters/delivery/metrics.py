"""Reports the queues of remote destinations as OpenTelemetry metrics.

Names, units, texts and attributes are those of the SDK's metrics about its own processors
(`otel.sdk.processor.*`, OpenTelemetry's semantic conventions). The queue sends by itself, so
a record is processed once it is sent, and not once an exporter gets it. Off unless
`OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true`, as in the SDK. Values are read only
when a metric reader collects, so a record costs little, and sending metrics creates
no further ones.

A meter has one instrument of a name, with the callbacks that it was created with. So
one observer reports for all queues.
"""

from __future__ import annotations

import os
import weakref
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.metrics import Observation, get_meter_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from otel_ext.exporters.delivery.queue import Priority, PriorityQueue
    from otel_ext.runtime.counters import Counters

__all__ = ["ObservedQueue", "observe_queue", "wants_metrics"]

_ENABLED: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_METER: Final = "otel_ext"
_TYPE: Final = "otel_ext_remote_queue"
_component_numbers: Final = count()


class ObservedQueue(Protocol):
    """What the metrics read: the records that wait; what was sent and lost, by signal."""

    queue: PriorityQueue
    counts: Counters


def wants_metrics() -> bool:
    """Return whether the environment asks for the SDK's metrics about itself."""
    return os.environ.get(_ENABLED, "").strip().lower() == "true"


def observe_queue(queue: ObservedQueue, meter_provider: MeterProvider | None = None) -> None:
    """Report metrics of `queue`, for as long as it lives.

    Args:
        queue: The queue of a destination.
        meter_provider: Where to report; the global one by default.
    """
    if meter_provider is None:
        _global.add(queue, get_meter_provider())
        return
    observer = _others.get(meter_provider)
    if observer is None:
        observer = _others[meter_provider] = _Observer()
    observer.add(queue, meter_provider)


class _Observer:
    """Reports all queues to one meter provider."""

    def __init__(self) -> None:
        self._queues: weakref.WeakKeyDictionary[ObservedQueue, dict[str, str]] = (
            weakref.WeakKeyDictionary()
        )
        self._is_registered = False

    def add(self, queue: ObservedQueue, provider: MeterProvider) -> None:
        """Report `queue` too; the first one creates the instruments."""
        name = f"{_TYPE}/{next(_component_numbers)}"
        self._queues[queue] = {"otel.component.type": _TYPE, "otel.component.name": name}
        if not self._is_registered:
            self._is_registered = True
            self._register(provider.get_meter(_METER))

    def _register(self, meter: Meter) -> None:
        """Create the instruments: for spans, and for records that are sent as logs."""
        for signal, priorities in (("span", ("finals",)), ("log", ("provisional", "logs"))):
            noun = "span" if signal == "span" else "log record"
            unit, prefix = f"{{{noun.replace(' ', '_')}}}", f"otel.sdk.processor.{signal}"
            meter.create_observable_up_down_counter(
                f"{prefix}.queue.size",
                [self._reader(priorities, _waiting)],
                unit,
                f"The number of {noun}s in the queue of a given instance of an SDK"
                f" {signal} processor.",
            )
            meter.create_observable_up_down_counter(
                f"{prefix}.queue.capacity",
                [self._reader(priorities, _capacity)],
                unit,
                f"The maximum number of {noun}s the queue of a given instance of an SDK"
                f" {'span' if signal == 'span' else 'Log Record'} processor can hold.",
            )
            meter.create_observable_counter(
                f"{prefix}.processed",
                [self._processed(signal)],
                unit,
                f"The number of {noun}s for which the processing has finished, either successful"
                " or failed.",
            )

    def _reader(
        self, priorities: tuple[str, ...], measure: Callable[[Priority], int]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            for queue, attributes in list(self._queues.items()):
                value = sum(measure(getattr(queue.queue, priority)) for priority in priorities)
                yield Observation(value, attributes)

        return read

    def _processed(self, signal: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            for queue, attributes in list(self._queues.items()):
                yield Observation(queue.counts.value(signal), attributes)
                # As in the SDK: dropped records have an error type, the others none.
                for error in _ERRORS:
                    value = queue.counts.value(f"{signal}.{error}")
                    yield Observation(value, {**attributes, "error.type": error})

        return read


_ERRORS: Final = ("queue_full", "rejected")
_global: Final = _Observer()
_others: Final[weakref.WeakKeyDictionary[MeterProvider, _Observer]] = weakref.WeakKeyDictionary()


def _waiting(priority: Priority) -> int:
    return len(priority)


def _capacity(priority: Priority) -> int:
    return priority.limits.records
