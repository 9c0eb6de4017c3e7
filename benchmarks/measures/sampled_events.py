"""Measures events that are summed up, against a record for each and against a call alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.figures import Figure, ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Result, Table
from otel_ext.events import SampledEvents, record_event
from otel_ext.processors import LifecycleSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.record.model import Record

__all__ = ["measure"]

_CALL: Final = "a method that does nothing"
_SUMMED: Final = "SampledEvents.emit"
_KEYED: Final = "SampledEvents.emit, with a key"
_RATED: Final = "SampledEvents.emit, with a key and a rate of 0.5"
_RECORDED: Final = "record_event"
# Longer than the measure: what is measured is an event that does not begin a window.
_WINDOW: Final = 3_600.0


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


class _Nothing:
    """Has the method of `SampledEvents`, without what it does."""

    def emit(
        self, name: str, measurements: Mapping[str, float], metadata: Mapping[str, object]
    ) -> None:
        """Do nothing."""


def measure(effort: Effort) -> Result:
    """Measure one event in several ways."""
    rounds = effort.pick(full=61, quick=5, tiny=1)
    times = effort.pick(full=5_000, quick=2_000, tiny=10)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleSpanProcessor(_Null()))
    summed = SampledEvents(window=_WINDOW)
    keyed = SampledEvents(window=_WINDOW, keys=["cache"])
    rated = SampledEvents(window=_WINDOW, keys=["cache"], rates={"*": 0.5})
    cases = [
        Case(_CALL, _repeat(_Nothing().emit)),
        Case(_SUMMED, _repeat(summed.emit), close=summed.close),
        Case(_KEYED, _repeat(keyed.emit), close=keyed.close),
        Case(_RATED, _repeat(rated.emit), close=rated.close),
        Case(_RECORDED, _repeat(record_event)),
    ]
    with Cases(cases):
        costs = alternate(cases, rounds=rounds, count=times)
    provider.shutdown()
    cpu = {name: [cost.cpu for cost in found] for name, found in costs.items()}
    result = Result(
        "sampled_events",
        "Events that are summed up",
        "One measurement, one fact; no window ends meanwhile. Microseconds of CPU, all threads.",
    )
    rows = [[name, _in_us(found).show()] for name, found in cpu.items()]
    result.tables.append(Table("Events", ["", "µs"], rows))
    for key, name in (("summed up", _SUMMED), ("with a key", _KEYED), ("with a rate", _RATED)):
        beyond = [ours - call for ours, call in zip(cpu[name], cpu[_CALL], strict=True)]
        result.figures[f"{key}, beyond the call, µs"] = _in_us(beyond)
    result.figures["a record for each over one that is summed up"] = ratios(
        cpu[_RECORDED], cpu[_KEYED]
    )
    return result


def _in_us(nanoseconds: list[float]) -> Figure:
    return summarise([value / 1_000 for value in nanoseconds])


def _repeat(
    emit: Callable[[str, dict[str, float], dict[str, object]], object],
) -> Callable[[int], None]:
    def repeat(times: int) -> None:
        for number in range(times):
            emit("cache.miss", {"size": number}, {"cache": "pages"})

    return repeat
