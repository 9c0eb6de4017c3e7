"""The metrics of the queue, which follow the SDK's conventions."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from otel_ext.exporters.delivery.json_lines import JsonLinesSender
from otel_ext.exporters.delivery.metrics import observe_queue, wants_metrics
from otel_ext.exporters.delivery.queue import QueueLimits
from otel_ext.exporters.delivery.remote_queue import RemoteQueue
from otel_ext.exporters.delivery.resilient import ResilientExporter
from otel_ext.exporters.delivery.settings import RemoteSettings
from otel_ext.protocols import SendResult
from otel_ext.runtime.worker import Worker
from tests.exporters import samples
from tests.programs import wait_until
from tests.resilient.destination import decoded
from tests.sdk import since

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.protocols import Request

ENABLED = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


class Nowhere(JsonLinesSender):
    """A sender that accepts everything."""

    def send(self, request: Request) -> SendResult:
        """Accept it."""
        return SendResult(ok=True)


def points_of(reader: InMemoryMetricReader, component: str) -> dict[tuple[str, object], float]:
    """Return the values by metric and error type."""
    data = reader.get_metrics_data()
    found: dict[tuple[str, object], float] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    attributes = point.attributes or {}
                    if (
                        isinstance(point, NumberDataPoint)
                        and attributes["otel.component.name"] == component
                    ):
                        found[metric.name, attributes.get("error.type")] = point.value
    return found


def test_sizes_capacities_and_losses_are_reported() -> None:
    """Size, capacity, processed records, and dropped ones by reason."""
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


class Choosy(Nowhere):
    """A sender that refuses records called `bad`, and everything while it is down."""

    down = False

    def send(self, request: Request) -> SendResult:
        """Accept or refuse it."""
        if self.down:
            return SendResult(ok=False, retry=True, message="down")
        bad = any(record.name == "bad" for record in decoded(request.body, request.records))
        return SendResult(ok=not bad, message="bad" if bad else "")


def test_each_queue_is_reported() -> None:
    """Whatever their number and order of creation; a deleted one is not."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    workers = [Worker(f"test-{n}") for n in range(3)]
    queues = [RemoteQueue(Nowhere(), worker=worker, grace=60) for worker in workers]
    for count in range(1, 4):
        observe_queue(queues[count - 1], provider)
        points_names(reader)
        for number in range(count):
            queues[count - 1].export(samples.end("done", number))
        assert queues[count - 1].force_flush(5_000)
    names = sorted(points_names(reader), key=lambda name: int(name.rsplit("/", 1)[1]))
    processed = [
        points_of(reader, name)["otel.sdk.processor.span.processed", None] for name in names
    ]
    assert processed == [1, 2, 3]
    while queues:
        queues.pop().shutdown()
    gc.collect()
    assert not points_names(reader)
    assert all(worker.stop() for worker in workers)


def test_what_is_replayed_or_refused_is_reported(tmp_path: Path) -> None:
    """Records from disk count as processed when sent, and as rejected when set aside."""
    reader = InMemoryMetricReader()
    sender = Choosy()
    queue = RemoteQueue(sender, name="test-replayed", grace=60)
    exporter = ResilientExporter(
        queue,
        folder=tmp_path,
        settings=RemoteSettings(
            retry_failures=1, retry_initial_interval=0.05, retry_max_interval=0.05
        ),
    )
    observe_queue(queue, MeterProvider([reader]))
    (component,) = points_names(reader)
    processed = "otel.sdk.processor.span.processed"
    sender.down = True
    for number in range(20):
        exporter.export(samples.end("bad" if number == 7 else "done", number))
    assert exporter.force_flush(5_000)
    assert points_of(reader, component)[processed, None] == 0
    sender.down = False
    wait_until(lambda: points_of(reader, component)[processed, None] == 19, "they are replayed")
    wait_until(lambda: points_of(reader, component)[processed, "rejected"] == 1, "one is refused")
    exporter.export(samples.end("done", 100))
    assert exporter.force_flush(5_000)
    assert points_of(reader, component)[processed, None] == 20
    exporter.shutdown()


def points_names(reader: InMemoryMetricReader) -> set[str]:
    """Return the names of the reported components."""
    data = reader.get_metrics_data()
    return {
        str((point.attributes or {})["otel.component.name"])
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


@since(33, "the conventions have metrics of the SDK itself")
def test_the_names_are_those_of_the_conventions() -> None:
    """Every metric is one that OpenTelemetry's conventions define for its own processors."""
    reader = InMemoryMetricReader()
    queue = RemoteQueue(Nowhere(), worker=Worker("test-names"), grace=60)
    observe_queue(queue, MeterProvider([reader]))
    (component,) = points_names(reader)
    conventions = import_module("opentelemetry.semconv._incubating.metrics.otel_metrics")
    defined = {
        getattr(conventions, f"OTEL_SDK_PROCESSOR_{signal}_{what}")
        for signal in ("SPAN", "LOG")
        for what in ("PROCESSED", "QUEUE_SIZE", "QUEUE_CAPACITY")
    }
    assert {name for name, _ in points_of(reader, component)} == defined
    queue.shutdown()


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("false", False), ("", False)])
def test_it_is_off_by_default(value: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is the SDK's own."""
    monkeypatch.setenv(ENABLED, value)
    assert wants_metrics() is wanted


@since(45, "later texts of the conventions")
def test_units_and_texts_are_those_of_the_conventions() -> None:
    """Each is created as by the functions that OpenTelemetry generates from its conventions."""
    ours, theirs = InMemoryMetricReader(), InMemoryMetricReader()
    worker = Worker("test-texts")
    queue = RemoteQueue(Nowhere(), worker=worker, grace=60)
    observe_queue(queue, MeterProvider([ours]))
    conventions = import_module("opentelemetry.semconv._incubating.metrics.otel_metrics")
    meter = MeterProvider([theirs]).get_meter("test")
    for signal in ("span", "log"):
        for what in ("processed", "queue_size", "queue_capacity"):
            create = getattr(conventions, f"create_otel_sdk_processor_{signal}_{what}")
            create(meter).add(1)
    assert kinds_of(ours) == kinds_of(theirs)
    queue.shutdown()
    assert worker.stop()


def kinds_of(reader: InMemoryMetricReader) -> set[tuple[object, ...]]:
    """Return name, unit, text and kind of each metric."""
    data = reader.get_metrics_data()
    return {
        (metric.name, metric.unit, metric.description, getattr(metric.data, "is_monotonic", None))
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
