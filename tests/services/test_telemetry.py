"""Counters, gauges and timings by a real `MeterProvider`."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import TYPE_CHECKING, NoReturn, cast

import pytest
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from otel_ext.context import auto_span
from otel_ext.errors import ConfigError
from otel_ext.services import telemetry
from tests.programs import python, succeed, write_program

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics.export import Metric


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without metrics."""
    monkeypatch.setattr(telemetry, "_known", {})


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> InMemoryMetricReader:
    """Return a reader of what is reported."""
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    monkeypatch.setattr(telemetry, "get_meter_provider", lambda: provider)
    return made


def metrics_of(reader: InMemoryMetricReader) -> dict[str, Metric]:
    """Return the metrics by name."""
    data = reader.get_metrics_data()
    return {
        metric.name: metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def values_of(reader: InMemoryMetricReader, name: str) -> dict[object, float]:
    """Return the values of a metric by attributes; the count of a histogram."""
    metric = metrics_of(reader).get(name)
    return values_in(metric) if metric else {}


def values_in(metric: Metric) -> dict[object, float]:
    """Return the values of a metric, as `values_of` does."""
    return {
        frozenset((point.attributes or {}).items()): point.value
        if isinstance(point, NumberDataPoint)
        else point.count
        for point in metric.data.data_points
    }


def key(**attributes: object) -> object:
    """Return attributes as `values_of` has them."""
    return frozenset(attributes.items())


def test_a_counter_sums_up(reader: InMemoryMetricReader) -> None:
    """By attributes, with its unit and its description."""
    orders = telemetry.counter("orders", "{order}", "Orders placed")
    orders.add(2, country="fr")
    orders.add(0.5, country="fr")
    orders.add(country="de")
    telemetry.counter("Orders", "{order}").add(self=1, amount="a")
    assert values_of(reader, "orders") == {
        key(country="fr"): 2.5,
        key(country="de"): 1,
        key(self=1, amount="a"): 1,
    }
    metric = metrics_of(reader)["orders"]
    assert (metric.unit, metric.description) == ("{order}", "Orders placed")


def test_a_gauge_has_the_last_value(reader: InMemoryMetricReader) -> None:
    """Values may go up and down, below zero too."""
    gauge = telemetry.gauge("temperature", "Cel")
    for value in (3, -1e30, -20.5):
        gauge.set(value, room="cellar")
    metric = metrics_of(reader)["temperature"]  # old releases report it once
    assert (values_in(metric), metric.unit) == ({key(room="cellar"): -20.5}, "Cel")


def test_a_timing_records_seconds(reader: InMemoryMetricReader) -> None:
    """Blocks, nested ones and failed ones, into buckets that suit seconds."""
    timing = telemetry.timing("order.duration", "Placing an order")
    timing.record(0.3, country="fr")
    measured = timing.measure(country="de")
    with measured, measured:
        pass
    with pytest.raises(ConfigError), timing.measure():
        raise ConfigError("no", hint="none")
    with pytest.raises(KeyError), timing.measure():
        raise KeyError
    measured.__exit__(None, None, None)  # without a block: nothing
    assert values_of(reader, "order.duration") == {
        key(country="fr"): 1,
        key(country="de"): 2,
        frozenset({("error.type", "otel_ext.errors.ConfigError")}): 1,
        frozenset({("error.type", "KeyError")}): 1,
    }
    metric = metrics_of(reader)["order.duration"]
    assert metric.unit == "s"
    first = next(
        point for point in metric.data.data_points if (point.attributes or {}) == {"country": "fr"}
    )
    assert first.sum == 0.3  # type: ignore[union-attr]
    assert max(first.explicit_bounds) == 10.0  # type: ignore[union-attr]


def test_functions_of_every_kind_are_timed(reader: InMemoryMetricReader) -> None:
    """Each call once, also in spans; what they return and send is unchanged."""
    timing = telemetry.timing("call")

    @timing.measure(kind="function")
    def plain(number: int, *, more: int = 1) -> int:
        """Add."""
        return number + more

    @timing.measure(kind="in span")
    @auto_span
    def inner() -> str:
        return "in"

    @auto_span
    @timing.measure(kind="around")
    async def around() -> str:
        await asyncio.sleep(0)
        return "out"

    @timing.measure(kind="generator")
    def numbers() -> Generator[int, str, str]:
        text = yield 1
        yield 2
        return text

    class Shop:
        @timing.measure(kind="method")
        def sell(self) -> str:
            return "sold"

        @timing.measure(kind="static")
        @staticmethod
        def open() -> str:
            return "open"

    assert (plain(1), plain(1, more=5), plain.__doc__) == (2, 6, "Add.")
    assert inner() == "in"
    assert asyncio.run(around()) == "out"
    iteration = numbers()
    assert (next(iteration), iteration.send("text")) == (1, 2)
    with pytest.raises(StopIteration, match="text"):
        next(iteration)
    closed = numbers()
    next(closed)
    closed.close()
    shop = Shop()
    assert (shop.sell(), Shop.open()) == ("sold", "open")
    assert values_of(reader, "call") == {
        key(kind="function"): 2,
        key(kind="in span"): 1,
        key(kind="around"): 1,
        key(kind="generator"): 2,
        key(kind="method"): 1,
        key(kind="static"): 1,
    }


def test_what_cannot_be_timed_is_refused() -> None:
    """Classes, async generators and what is no function."""

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    measure = telemetry.timing("call").measure()
    for target in (numbers, dict, 3):
        with pytest.raises(ConfigError):
            measure(cast("Callable[[], object]", target))


def test_threads_report_to_one_metric(reader: InMemoryMetricReader) -> None:
    """Whichever thread asks for it first; no value is lost."""
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(500):
            telemetry.counter("jobs").add(1)
            with telemetry.timing("job.duration").measure():
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values_of(reader, "jobs") == {key(): 2_000}
    assert values_of(reader, "job.duration") == {key(): 2_000}


class Hostile:
    """A value whose methods fail."""

    def _fail(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __hash__ = __eq__ = __str__ = __repr__ = __float__ = __lt__ = _fail


def test_values_that_are_no_numbers_are_left_out(
    reader: InMemoryMetricReader, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are reported once each minute; others of the same metric stay."""
    wrong: list[object] = [nan, inf, -inf, "3", None, Hostile(), [1], Decimal(1), 10**400]
    for value in [*wrong, -1, -0.5]:
        telemetry.counter("c").add(cast("float", value))
        telemetry.timing("t").record(cast("float", value))
    for value in wrong:
        telemetry.gauge("g").set(cast("float", value))
    telemetry.counter("c").add(1, bad=cast("str", Hostile()))
    telemetry.counter("c").add(cast("float", Fraction(1, 2)))
    assert values_of(reader, "c").get(key()) == 0.5
    assert not values_of(reader, "t")
    assert not values_of(reader, "g")
    err = capfd.readouterr().err
    assert err.count("a value of c is not reported: not a finite number from 0 on") == 1


class Broken(AnyMeterProvider):
    """A meter provider that raises, or whose instruments do."""

    def __init__(self, *, everywhere: bool) -> None:
        self._everywhere = everywhere

    def get_meter(self, *_: object, **__: object) -> Meter:
        """Return a meter without working instruments."""
        if self._everywhere:
            raise RuntimeError("no meter")
        return cast("Meter", self)

    def create_any(self, *_: object) -> Broken:
        """Return an instrument: this object."""
        return self

    def fail(self, *_: object) -> None:
        """Raise, whatever is reported."""
        raise RuntimeError("no metrics today")

    create_counter = create_gauge = create_histogram = create_any
    add = record = set = fail


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_broken_meter_provider_stops_no_program(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], everywhere: bool
) -> None:
    """The problem is reported on stderr."""
    broken = Broken(everywhere=everywhere)
    monkeypatch.setattr(telemetry, "get_meter_provider", lambda: broken)
    telemetry.counter("broken.c").add(1)
    telemetry.gauge("broken.g").set(1)
    with telemetry.timing("broken.t").measure():
        pass
    assert "telemetry: " in capfd.readouterr().err


@pytest.mark.parametrize("name", ["", "1a", "a b", "é", "a" * 256, "a\n", None, 3, b"a", Hostile()])
def test_names_are_checked(name: object) -> None:
    """The error names the value and what to use."""
    for make in (telemetry.counter, telemetry.gauge, telemetry.timing):
        with pytest.raises(ConfigError, match="is not a valid name of a metric. Use a letter"):
            make(cast("str", name))


@pytest.mark.parametrize("unit", ["é", "a" * 64, "a\n", None, 3, Hostile()])
def test_units_and_descriptions_are_checked(unit: object) -> None:
    """So is that a name keeps its kind and its unit."""
    for make in (telemetry.counter, telemetry.gauge):
        with pytest.raises(ConfigError, match="is not a valid unit"):
            make("checked", cast("str", unit))
    with pytest.raises(ConfigError, match="is not a text"):
        telemetry.timing("checked", cast("str", 3))
    assert telemetry.counter("checked", "By") is telemetry.counter("checked", "By", "again")
    with pytest.raises(ConfigError, match="checked is a counter already, not a gauge"):
        telemetry.gauge("checked", "By")
    with pytest.raises(ConfigError, match="unit='' of CHECKED differs from 'By' before"):
        telemetry.counter("CHECKED")


def test_there_is_a_limit_of_names() -> None:
    """A name for each customer would grow without bound."""
    for number in range(1_000):
        telemetry.counter(f"customer.{number}")
    with pytest.raises(ConfigError, match="more than 1,000 names of metrics. Use attributes"):
        telemetry.counter("customer.1000")
    telemetry.counter("customer.999").add(1)


PROGRAM = """
import sys
from otel_ext.services import telemetry
assert "opentelemetry.sdk.metrics" not in sys.modules
orders, duration = telemetry.counter("orders"), telemetry.timing("order.duration")
orders.add(1)  # to nowhere
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
orders.add(2)
with duration.measure():
    pass
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            point = metric.data.data_points[0]
            print(scope.scope.name, metric.name, getattr(point, "value", None) or point.count)
"""


def test_a_meter_provider_may_be_set_later(tmp_path: Path) -> None:
    """What is reported before goes nowhere, without the SDK; later values are reported."""
    done = succeed(python(write_program(tmp_path, PROGRAM)), tmp_path)
    assert done.err == ""
    assert done.out.splitlines() == [
        "otel_ext.telemetry orders 2",
        "otel_ext.telemetry order.duration 1",
    ]
