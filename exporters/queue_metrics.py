"""What the queue of a remote destination says of itself, as metrics.

The names and attributes are those by which the SDK observes its own processors
(`otel.sdk.processor.*`, OpenTelemetry's semantic conventions). Off unless
`OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true`, as in the SDK. Everything is read
when a reader asks, so the path of a record costs nothing, and nothing that is
sent makes anything to send.
"""

from __future__ import annotations

import os
import weakref
from itertools import count
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation, get_meter_provider

from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from otel_ext.exporters.remote_inbox import Lane
    from otel_ext.exporters.remote_queue import RemoteQueue

__all__ = ["observe_queue", "wants_metrics"]

_ENABLED: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_METER: Final = "otel_ext"
_TYPE: Final = "otel_ext_remote_queue"
_numbers: Final = count()


def wants_metrics() -> bool:
    """Return whether the environment asks for the SDK's metrics about itself."""
    return os.environ.get(_ENABLED, "").strip().lower() == "true"


def observe_queue(queue: RemoteQueue, meter_provider: MeterProvider | None = None) -> None:
    """Offer metrics of `queue`, for as long as it lives.

    Args:
        queue: The queue of a destination.
        meter_provider: Whose readers ask; the global one by default.
    """
    meter = (meter_provider or get_meter_provider()).get_meter(_METER)
    name = f"{_TYPE}/{next(_numbers)}"
    attributes = {"otel.component.type": _TYPE, "otel.component.name": name}
    _Observer(queue, attributes).offer(meter)


class _Observer:
    """Answers what readers ask about one queue."""

    def __init__(self, queue: RemoteQueue, attributes: dict[str, str]) -> None:
        self._queue = weakref.ref(queue)
        self._attributes = attributes

    def offer(self, meter: Meter) -> None:
        """Make the instruments: for spans, and for what is sent as logs."""
        for signal, lanes in (("span", ("finals",)), ("log", ("provisional", "logs"))):
            unit = "{log_record}" if signal == "log" else "{span}"
            prefix = f"otel.sdk.processor.{signal}"
            meter.create_observable_up_down_counter(
                f"{prefix}.queue.size", [self._reader(lanes, _waiting)], unit
            )
            meter.create_observable_up_down_counter(
                f"{prefix}.queue.capacity", [self._reader(lanes, _capacity)], unit
            )
            meter.create_observable_counter(f"{prefix}.processed", [self._processed(signal)], unit)

    def _reader(
        self, lanes: tuple[str, ...], figure: Callable[[Lane], int]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            queue = self._queue()
            if queue is None:
                return
            value = sum(figure(getattr(queue.inbox, lane)) for lane in lanes)
            yield Observation(value, self._attributes)

        return read

    def _processed(self, signal: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        # As in the SDK: with an error's name what was dropped, without one the rest.
        sent, errors = _PROCESSED[signal]

        def read(_: CallbackOptions) -> Iterable[Observation]:
            if self._queue() is None:
                return
            yield Observation(COUNTERS.value(sent), self._attributes)
            for error, counters in errors.items():
                value = sum(COUNTERS.value(name) for name in counters)
                yield Observation(value, {**self._attributes, "error.type": error})

        return read


_PROCESSED: Final[dict[str, tuple[str, dict[str, tuple[str, ...]]]]] = {
    "span": ("remote.sent_finals", {"queue_full": ("remote.full_finals",)}),
    "log": ("remote.sent_events", {"queue_full": ("remote.shed_starts", "remote.full_logs")}),
}


def _waiting(lane: Lane) -> int:
    return len(lane)


def _capacity(lane: Lane) -> int:
    return lane.limits.records
