"""`SampledEvents`: frequent events as one record for each key and window, with their sums."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from otel_ext.errors import ConfigError
from otel_ext.events.aggregates import Aggregate, Aggregates
from otel_ext.events.batch_writer import BatchWriter
from otel_ext.events.plain_values import (
    KEY_TYPES,
    LARGEST,
    MOST_TEXT,
    clean_values,
    plain_key,
    plain_metadata,
)
from otel_ext.events.rates import Rates
from otel_ext.inflight.origin import origin_here
from otel_ext.record.model import EMPTY
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.fork import check_process
from otel_ext.runtime.guard import report_problem
from otel_ext.settings.limits import check_limit
from otel_ext.settings.short_repr import short_repr

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from types import TracebackType

    from otel_ext.events.aggregates import Values

__all__ = ["SampledEvents"]

_SHORTEST_WINDOW: Final = 0.01
_LONGEST_WINDOW: Final = 86_400.0
_LOST: Final = "dropped.sampled_events"
_REFUSED: Final = "sampled_events.measurements_refused"
# How many frames are between a call of `emit` and `origin_here`.
_DEPTH: Final = 3


class SampledEvents:
    """Records frequent events as one event record for each key and window, with their sums.

    All events with the same name and the same values of `keys` within a window become one
    record at its end, also if there was only one. The record has the metadata, the span and
    the call site of the first of them, and for each measurement, such as `size`:
    `size.count`, `size.sum`, `size.min`, `size.max` and `size.last`. Further it has
    `suppressed` (how many events it stands for beyond the first), `window_seconds` (the time
    since the first event of the window) and, if only a share is kept, `sample_rate`.
    Subscribers get the same as one event. It is written by a background thread.

    With a rate, a trace keeps all of its events or none, by the rule of OpenTelemetry's
    `TraceIdRatioBased`. Outside of traces every n-th event is kept, the first one included.

    What waits is written before a flush or a shutdown of the processor, at exit, and when the
    object is dropped. A killed process loses at most its last window. A forked child begins
    without the events of its parent.

    Args:
        window: The length of a window in seconds, from 0.01 to 86,400. Windows follow the
            monotonic clock, so a change of the system's time does not matter.
        keys: Names of metadata. Events with different values there are not merged.
        rates: The share of events to keep, from 0 to 1, by pattern: a name, a prefix with
            `*`, or `*`. The most exact pattern counts; other events are all kept.
        max_names: How many different names and values of `keys` one window has. All further
            ones share one record with the name `other`.

    Raises:
        ConfigError: An argument is not valid.

    >>> with SampledEvents(keys=["cache"]) as events:
    ...     for size in range(1_000):
    ...         events.emit("cache.miss", {"size": size}, {"cache": "pages"})
    """

    def __init__(
        self,
        *,
        window: float = 1.0,
        keys: Iterable[str] = (),
        rates: Mapping[str, float] = EMPTY,  # type: ignore[assignment]
        max_names: int = 1_000,
    ) -> None:
        _check_window(window)
        check_limit("max_names", max_names)
        self._keys = _checked_keys(keys)
        self._rates = None if rates == {} else Rates(rates)
        self._aggregates = Aggregates(max_names)
        self._writer = BatchWriter(self._aggregates, float(window), self._rates)
        weakref.finalize(self, self._writer.leave).atexit = False

    def emit(
        self,
        name: str,
        measurements: Mapping[str, float] = EMPTY,  # type: ignore[assignment]
        metadata: Mapping[str, object] = EMPTY,
    ) -> None:
        """Count an event, which is recorded at the end of the window; never raises.

        A measurement that is not a finite number is left out, and reported once.

        Args:
            name: Such as `cache.miss`.
            measurements: Numbers, which are summed up by their names; at most 64 names.
            metadata: Facts. Those of the first event of a window are recorded, except facts with
                the name of a sum, such as `size.max`, `suppressed` or `window_seconds`.

        >>> SampledEvents().emit("cache.miss", {"size": 3})
        """
        try:
            check_process()
            if type(name) is not str:
                name = _plain_name(name)
            rates = self._rates
            if rates is not None and not rates.keeps(name):
                return
            facts = cast("object", metadata)
            if type(facts) is not dict:
                metadata = _plain_mapping(facts)
            key: Hashable = name
            if self._keys:
                part = metadata.get(self._keys[0])
                is_plain = type(part) is str and len(part) <= MOST_TEXT
                if (is_plain or type(part) in KEY_TYPES) and len(self._keys) == 1:
                    key = (name, part)
                else:
                    key = plain_key(name, map(metadata.get, self._keys))
            values = _values_of(measurements)
            if not self._aggregates.add(key, values):
                self._add_first(name, key, values, metadata)
        except Exception as error:  # noqa: BLE001 - nothing may reach the program
            COUNTERS.add(_LOST)
            report_problem("SampledEvents: an event is lost", error)

    def _add_first(
        self, name: str, key: Hashable, values: Values, metadata: Mapping[str, object]
    ) -> None:
        def make() -> Aggregate:
            return Aggregate(name, plain_metadata(metadata), origin_here(_DEPTH + 1))

        self._aggregates.add_first(key, values, make)
        self._writer.begin()

    def flush(self) -> None:
        """Write what waits now, on this thread; never raises.

        >>> SampledEvents().flush()
        """
        check_process()
        self._writer.flush()

    def close(self) -> None:
        """Write what waits, and stop the timer. Idempotent; a later `emit` starts it again.

        >>> SampledEvents().close()
        """
        check_process()
        self._writer.end()

    def __enter__(self) -> SampledEvents:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check_window(window: object) -> None:
    if (
        not isinstance(window, (int, float))
        or isinstance(window, bool)
        or not isfinite(window)
        or not _SHORTEST_WINDOW <= window <= _LONGEST_WINDOW
    ):
        raise ConfigError(
            f"window={short_repr(window)} is not a valid number of seconds",
            hint="Use a number from 0.01 to 86400.",
        )


def _checked_keys(keys: object) -> tuple[str, ...]:
    hint = 'Use names of metadata, such as keys=["cache"].'
    try:
        found = () if isinstance(keys, (str, bytes)) else tuple(cast("Iterable[object]", keys))
    except Exception:  # noqa: BLE001 - it is no iterable, or one that fails
        found = ()
    names = tuple(key for key in found if isinstance(key, str))
    if len(names) != len(found) or (not names and keys not in ((), [])):
        raise ConfigError(f"keys={short_repr(keys)} are not names of metadata", hint=hint)
    return names


def _plain_name(name: object) -> str:
    if isinstance(name, str):
        return str.__str__(name)
    report_problem("SampledEvents", "the name of an event is not a text; its short form is used")
    return short_repr(name)


def _plain_mapping(metadata: object) -> dict[str, object]:
    if isinstance(metadata, Mapping):
        return dict(cast("Mapping[str, object]", metadata))
    report_problem("SampledEvents", "metadata that are not a mapping are left out")
    return {}


def _values_of(measurements: Mapping[str, float]) -> Values:
    """Return the names and numbers; plain ones as they are."""
    if type(measurements) is dict:
        values: Values = (*cast("dict[str, float]", measurements).items(),)
        for name, value in values:
            kind: type = type(value)
            if (
                (kind is not int and kind is not float)
                # Also false for NaN and the infinities.
                or not -LARGEST <= value <= LARGEST
                or type(name) is not str
            ):
                break
        else:
            return values
    elif measurements is EMPTY:
        return ()
    values, refused = clean_values(cast("object", measurements))
    if refused:
        COUNTERS.add(_REFUSED, refused)
        report_problem("SampledEvents", "a measurement is not a finite number and is left out")
    return values
