"""`SampledEvents` against a plain model: all records together have the sums of all events."""

from __future__ import annotations

import threading
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.events import SampledEvents, subscribe
from otel_ext.events.aggregates import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.events import Event

LONG = 3_600.0
NAMES = ("get", "put", "cache.miss")
KEYS = ("a", "b", None, 1)
LIMIT = 4


class Emit(NamedTuple):
    """One call of `emit`."""

    name: str
    key: object
    numbers: dict[str, int]


emits = st.builds(
    Emit,
    st.sampled_from(NAMES),
    st.sampled_from(KEYS),
    st.dictionaries(st.sampled_from(["size", "age"]), st.integers(-1_000, 1_000)),
)
# A None among them ends the window.
steps = st.lists(st.none() | emits, max_size=40)


# Count, sum, least and greatest value.
Numbers: TypeAlias = tuple[float, float, float, float]


class Totals:
    """Count, sum, least and greatest value of each measurement by key, and the events."""

    def __init__(self) -> None:
        self.events: defaultdict[object, int] = defaultdict(int)
        self.values: defaultdict[object, list[tuple[float, float, float, float]]] = defaultdict(
            list
        )

    def summary(self) -> dict[object, tuple[float, ...]]:
        """Return the totals by key and measurement."""
        return {
            key: (
                sum(count for count, *_ in values),
                sum(total for _, total, _, _ in values),
                min(least for *_, least, _ in values),
                max(most for *_, most in values),
            )
            for key, values in self.values.items()
        }


def model_of(calls: Iterable[Emit], *, keyed: bool) -> Totals:
    """Return what all the calls together sum up to."""
    model = Totals()
    for call in calls:
        key = (call.name, call.key) if keyed else None
        model.events[key] += 1
        for what, value in call.numbers.items():
            model.values[key, what].append((1, value, value, value))
    return model


def totals_of(heard: Iterable[Event], *, keyed: bool) -> Totals:
    """Return what all the records together sum up to."""
    totals = Totals()
    for event in heard:
        numbers = dict(event.measurements)
        if "suppressed" not in numbers:
            continue  # of another processor of this process, such as a heartbeat
        key = (event.name, event.metadata.get("key")) if keyed else None
        totals.events[key] += int(numbers["suppressed"]) + 1
        for what in {name.partition(".")[0] for name in numbers if name.endswith(".sum")}:
            found = [numbers[f"{what}.{part}"] for part in ("count", "sum", "min", "max")]
            totals.values[key, what].append((found[0], found[1], found[2], found[3]))
    return totals


def last_of(calls: Iterable[Emit]) -> dict[object, float]:
    """Return the last value of each measurement by key."""
    return {
        (call.name, call.key, what): value for call in calls for what, value in call.numbers.items()
    }


def run(events: SampledEvents, todo: Iterable[Emit | None]) -> None:
    """Make the calls."""
    for call in todo:
        if call is None:
            events.flush()
        else:
            events.emit(call.name, call.numbers, {"key": call.key, "more": "text"})


@given(steps)
def test_the_records_have_the_sums_of_the_events(todo: list[Emit | None]) -> None:
    """For each key, whatever the windows; the last value is the last one's."""
    heard: list[Event] = []
    with (
        subscribe("*", heard.append, inline=True),
        SampledEvents(window=LONG, keys=["key"]) as ours,
    ):
        run(ours, todo)
    calls = [call for call in todo if call is not None]
    model, totals = model_of(calls, keyed=True), totals_of(heard, keyed=True)
    assert totals.events == model.events
    assert totals.summary() == model.summary()
    last = {
        (event.name, event.metadata["key"], name.removesuffix(".last")): value
        for event in heard
        for name, value in event.measurements.items()
        if name.endswith(".last")
    }
    assert last == last_of(calls)


@given(steps)
def test_the_limit_of_names_loses_no_event(todo: list[Emit | None]) -> None:
    """With few keys allowed, the sums over all of them stay the same."""
    heard: list[Event] = []
    with (
        subscribe("*", heard.append, inline=True),
        SampledEvents(window=LONG, keys=["key"], max_names=LIMIT) as ours,
    ):
        run(ours, todo)
    model = model_of((call for call in todo if call is not None), keyed=False)
    totals = totals_of(heard, keyed=False)
    assert (totals.events, totals.summary()) == (model.events, model.summary())
    named = {(event.name, event.metadata.get("key")) for event in heard if event.name != OTHER}
    if todo and None not in todo:
        assert len(named) <= LIMIT


@given(st.lists(steps, min_size=2, max_size=4))
def test_threads_lose_no_event(work: list[list[Emit | None]]) -> None:
    """Several threads emit and flush at once, while a timer ends windows, too."""
    heard: list[Event] = []
    with (
        subscribe("*", heard.append, inline=True),
        SampledEvents(window=0.01, keys=["key"]) as ours,
    ):
        threads = [threading.Thread(target=run, args=(ours, todo * 3)) for todo in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    calls = [call for call in chain(*work) for _ in range(3) if call is not None]
    model = model_of(calls, keyed=True)
    totals = totals_of(heard, keyed=True)
    assert totals.events == model.events
    assert totals.summary() == model.summary()


@pytest.mark.parametrize("count", [4])
def test_a_storm_of_threads_loses_no_event(count: int) -> None:
    """Each of some threads emits thousands of events of the same keys, without a pause."""
    heard: list[Event] = []
    start = threading.Barrier(count)

    def storm() -> None:
        start.wait()
        for number in range(5_000):
            ours.emit("get", {"n": 1}, {"key": number % 3})

    with (
        subscribe("*", heard.append, inline=True),
        SampledEvents(window=0.01, keys=["key"]) as ours,
    ):
        threads = [threading.Thread(target=storm) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(event.measurements["n.sum"] for event in heard) == count * 5_000
