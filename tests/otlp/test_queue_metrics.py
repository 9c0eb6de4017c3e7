"""The queue observes itself by the SDK's own conventions, when the environment asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.semconv._incubating.metrics import (  # pyright: ignore[reportMissingTypeStubs]
    otel_metrics,
)

from otel_ext.exporters import queue_metrics
from otel_ext.exporters.queue_metrics import observe_queue, wants_metrics
from otel_ext.exporters.remote_inbox import QueueLimits
from otel_ext.exporters.remote_queue import RemoteQueue
from otel_ext.protocols import SendResult
from otel_ext.runtime.worker import Worker
from tests.exporters import samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record

ENABLED = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


class Nowhere:
    """A sender that takes everything."""

    def send(self, records: Sequence[Record]) -> SendResult:
        """Take it."""
        return SendResult(ok=True)

    def close(self) -> None:
        """Do nothing."""


def points_of(reader: InMemoryMetricReader, component: str) -> dict[tuple[str, object], float]:
    """Return the values by metric and error type."""
    data = reader.get_metrics_data()
    found: dict[tuple[str, object], float] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    told = point.attributes or {}
                    if (
                        isinstance(point, NumberDataPoint)
                        and told["otel.component.name"] == component
                    ):
                        found[metric.name, told.get("error.type")] = point.value
    return found


def test_sizes_capacities_and_losses_are_told() -> None:
    """What waits, what there is room for, what was processed, and what was dropped and why."""
    reader = InMemoryMetricReader()
    worker = Worker("test-metrics")
    queue = RemoteQueue(Nowhere(), limits=QueueLimits(10, 10**9), worker=worker, grace=60)
    worker.stop()
    observe_queue(queue, MeterProvider([reader]))
    component = next(iter(points_names(reader)))
    before = points_of(reader, component)
    for number in range(1, 13):
        queue.export(samples.end("done", number))
        queue.export(samples.start("open", 100 + number))
    after = points_of(reader, component)
    assert after["otel.sdk.processor.span.queue.size", None] == 10
    assert after["otel.sdk.processor.span.queue.capacity", None] == 10
    assert after["otel.sdk.processor.log.queue.size", None] == 5
    full = ("otel.sdk.processor.span.processed", "queue_full")
    assert after[full] - before[full] == 2
    full = ("otel.sdk.processor.log.processed", "queue_full")
    assert after[full] - before[full] == 7


def points_names(reader: InMemoryMetricReader) -> set[str]:
    """Return the names of the components that told anything."""
    data = reader.get_metrics_data()
    return {
        str((point.attributes or {})["otel.component.name"])
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_the_names_are_those_of_the_conventions() -> None:
    """Every metric is one that OpenTelemetry's conventions define for its own processors."""
    for signal in ("SPAN", "LOG"):
        for what in ("PROCESSED", "QUEUE_SIZE", "QUEUE_CAPACITY"):
            name = getattr(otel_metrics, f"OTEL_SDK_PROCESSOR_{signal}_{what}")
            assert name.startswith("otel.sdk.processor.")


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("false", False), ("", False)])
def test_it_is_off_unless_asked_for(
    value: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is the SDK's own."""
    monkeypatch.setenv(ENABLED, value)
    assert wants_metrics() is wanted
    assert queue_metrics.__name__ not in ENABLED
