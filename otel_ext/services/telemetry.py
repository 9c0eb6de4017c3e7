"""Counters, gauges and timings of a program, by OpenTelemetry's metrics API.

They report to the program's `MeterProvider`, which may also be set later. Without one
they do nothing. What they report goes the way of all metrics, not into the journal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry.metrics import get_meter_provider

from otel_ext.errors import ConfigError
from otel_ext.runtime.guard import report_problem
from otel_ext.services.instruments import Counter, Gauge, Timing
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Histogram, Meter

__all__ = ["Counter", "Gauge", "Timing", "counter", "gauge", "timing"]

_METER: Final = "otel_ext.telemetry"
# As OpenTelemetry's specification of instruments has them.
_NAME: Final = re.compile(r"[a-zA-Z][-_./a-zA-Z0-9]{0,254}")
_UNIT: Final = re.compile(r"[\x20-\x7e]{0,63}")
_MOST_NAMES: Final = 1_000
# Those that OpenTelemetry's conventions advise for durations in seconds.
_BOUNDARIES: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)

_T = TypeVar("_T", Counter, Gauge, Timing)
_R = TypeVar("_R")

# By name in lower case: to OpenTelemetry, names that differ only in case are the same.
_known: Final[dict[str, Counter | Gauge | Timing]] = {}


def counter(name: str, unit: str = "", description: str = "") -> Counter:
    """Return the counter `name`, which sums up what the program adds to it.

    Args:
        name: A letter, then letters, digits and `_ . - /`; at most 255 characters.
        unit: Such as `{order}` or `By`; at most 63 ASCII characters.
        description: What it counts.

    Raises:
        ConfigError: An argument is not valid, the name is another kind of metric or has
            another unit, or there are 1,000 names (use attributes for what varies).

    >>> counter("orders", "{order}", "Orders placed").add(2, country="fr")
    """
    make = _maker(lambda meter: meter.create_counter(name, unit, description))
    return _get(Counter, name, unit, description, lambda: Counter(name, unit, make()))


def gauge(name: str, unit: str = "", description: str = "") -> Gauge:
    """Return the gauge `name`, which reports the last value that the program has set.

    Args:
        name: As for `counter`.
        unit: As for `counter`.
        description: What it shows.

    Raises:
        ConfigError: As for `counter`.

    >>> gauge("queue.size", "{job}").set(12, queue="mail")
    """
    make = _maker(lambda meter: meter.create_gauge(name, unit, description))
    return _get(Gauge, name, unit, description, lambda: Gauge(name, unit, make()))


def timing(name: str, description: str = "") -> Timing:
    """Return the timing `name`: a histogram of seconds.

    Args:
        name: As for `counter`, such as `order.duration`.
        description: What takes the time.

    Raises:
        ConfigError: As for `counter`.

    >>> with timing("order.duration").measure(country="fr"):
    ...     pass
    """
    make = _maker(lambda meter: _histogram(meter, name, description))
    return _get(Timing, name, "s", description, lambda: Timing(name, "s", make()))


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    try:
        return meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=_BOUNDARIES
        )
    except TypeError:  # a meter of the program's own may not know that argument
        return meter.create_histogram(name, "s", description)


def _maker(make: Callable[[Meter], _R]) -> Callable[[], _R | None]:
    def guarded() -> _R | None:
        try:
            return make(get_meter_provider().get_meter(_METER))
        except Exception as error:  # noqa: BLE001 - a meter provider may be the program's own
            report_problem("telemetry: a metric is not reported", error)
            return None

    return guarded


def _get(
    kind: type[_T], name: object, unit: object, description: object, make: Callable[[], _T]
) -> _T:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{short_repr(name)} is not a valid name of a metric",
            hint="Use a letter, then letters, digits and _ . - /, at most 255 in all.",
        )
    if not isinstance(unit, str) or not _UNIT.fullmatch(unit):
        raise ConfigError(
            f"unit={short_repr(unit)} of {name} is not a valid unit",
            hint="Use at most 63 ASCII characters, such as By or {order}.",
        )
    if not isinstance(description, str):
        raise ConfigError(
            f"description={short_repr(description)} of {name} is not a text",
            hint="Use a sentence.",
        )
    found = _known.get(name.lower())
    if found is None:
        if len(_known) >= _MOST_NAMES:
            raise ConfigError(
                f"{name} would be more than {_MOST_NAMES:,} names of metrics",
                hint="Use attributes for what varies, such as add(1, customer=...).",
            )
        found = _known.setdefault(name.lower(), make())
    if not isinstance(found, kind):
        raise ConfigError(
            f"{name} is a {type(found).__name__.lower()} already, not a {kind.__name__.lower()}",
            hint="Use another name.",
        )
    if found.unit != unit:
        raise ConfigError(
            f"unit={short_repr(unit)} of {name} differs from {short_repr(found.unit)} before",
            hint="Use the same unit, or another name.",
        )
    return found
