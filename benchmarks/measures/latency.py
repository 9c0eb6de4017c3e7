"""Measures how long a caller waits for a span: one thread, eight, asyncio, beside busy threads."""

from __future__ import annotations

import asyncio
import gc
import threading
from array import array
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.figures import percentile, ratios, summarise
from benchmarks.harness import Case, Cases, Effort, rotations
from benchmarks.peers import Rig, make_rig
from benchmarks.result import Chart, Result, Table
from benchmarks.shapes import FOUR
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

__all__ = ["measure"]

Times: TypeAlias = "array[int]"

_BASE: Final = "no-op processor"
_OURS: Final = "otel-ext mapped"
_PEERS: Final = (
    _BASE,
    "Batch + null exporter",
    "logfire pending spans + null exporter",
    _OURS,
    "otel-ext queued",
    "otel-ext write",
)
_SHARES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_THREADS: Final = 8
_BUSY: Final = 4
_TASKS: Final = 1_000
_QUEUE: Final = 500_000  # large enough that no peer drops spans
_WORK: Final = 400


def measure(effort: Effort) -> Result:
    """Measure all situations; percentiles in each round, medians over the rounds."""
    result = Result(
        "latency",
        "Latency at the caller",
        "The time that the caller spends on one span, in microseconds: start and end together,"
        " without the body of the `with`. Percentiles within a round, then the median over the"
        " rounds, in which the peers take turns. 'A start beside four busy threads' is the"
        " start alone.",
    )
    rigs = {name: rig for name in _PEERS if (rig := make_rig(name, _QUEUE)) is not None}
    with Cases([Case(name, int, close=rig.close) for name, rig in rigs.items()]):
        for title, (sample, counts, rounds) in _SITUATIONS.items():
            count = effort.pick(full=counts, quick=counts // 20, tiny=max(_TASKS, counts // 500))
            turns = effort.pick(full=rounds, quick=2, tiny=1)
            _situation(result, title, rigs, sample, count, turns)
    dropped = COUNTERS.dropped()
    if dropped:
        result.notes.append(f"Records that otel-ext dropped, by reason: {dropped}.")
    return result


def _situation(
    result: Result,
    title: str,
    rigs: dict[str, Rig],
    sample: Callable[[Tracer, int], Times],
    count: int,
    rounds: int,
) -> None:
    found: dict[str, dict[str, list[float]]] = {
        name: {share: [] for share in _SHARES} for name in rigs
    }
    names = list(rigs)
    for rig in rigs.values():
        sample(rig.tracer, max(1, count // 10))
        rig.drain()
    for order in rotations(len(names), rounds):
        for index in order:
            rig = rigs[names[index]]
            gc.collect()
            times = sample(rig.tracer, count)
            rig.drain()
            for label, share in _SHARES.items():
                found[names[index]][label].append(percentile(times, share) / 1_000)
    rows = [
        [name, *(summarise(values).show() for values in shares.values())]
        for name, shares in found.items()
    ]
    result.tables.append(Table(title, ["", *_SHARES], rows))
    series = {
        name: [summarise(values).value for values in shares.values()]
        for name, shares in found.items()
    }
    file = f"latency-{len(result.tables)}"
    result.charts.append(Chart(file, title, "µs", list(_SHARES), series, log=True))
    for label in _SHARES:
        ours, base = found[_OURS][label], found[_BASE][label]
        result.figures[f"{title}: {label} over no-op"] = ratios(ours, base)
        result.figures[f"{title}: {label}, µs"] = summarise(ours)


def _record(tracer: Tracer, count: int, times: Times, work: int) -> None:
    """Time spans, each around a pure Python body that is not counted."""
    for _ in range(count):
        begin = perf_counter_ns()
        with tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
            inside = perf_counter_ns()
            for _ in range(work):
                pass
            leaving = perf_counter_ns()
        times.append(perf_counter_ns() - begin - (leaving - inside))


def _one_thread(tracer: Tracer, count: int) -> Times:
    times: Times = array("q")
    _record(tracer, count, times, 0)
    return times


def _eight_threads(tracer: Tracer, count: int) -> Times:
    found: list[Times] = [array("q") for _ in range(_THREADS)]
    each = max(1, count // _THREADS)
    threads = [
        threading.Thread(target=_record, args=(tracer, each, times, _WORK)) for times in found
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(found, start=array("q"))


def _asyncio(tracer: Tracer, count: int) -> Times:
    times: Times = array("q")

    async def task(spans: int) -> None:
        for _ in range(spans):
            begin = perf_counter_ns()
            with tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
                inside = perf_counter_ns()
                await asyncio.sleep(0)
                leaving = perf_counter_ns()
            times.append(perf_counter_ns() - begin - (leaving - inside))

    async def run() -> None:
        await asyncio.gather(*(task(max(1, count // _TASKS)) for _ in range(_TASKS)))

    asyncio.run(run())
    return times


def _busy(stop: threading.Event) -> None:
    while not stop.is_set():
        for _ in range(10_000):
            pass


def _start_beside_busy(tracer: Tracer, count: int) -> Times:
    times: Times = array("q")
    stop = threading.Event()
    threads = [threading.Thread(target=_busy, args=(stop,)) for _ in range(_BUSY)]
    for thread in threads:
        thread.start()
    try:
        for number in range(count):
            if number % 50 == 0:
                sleep(0.001)  # as in a thread that works in bursts
            begin = perf_counter_ns()
            span = tracer.start_span("GET /orders/{id}", attributes=FOUR)
            times.append(perf_counter_ns() - begin)
            span.end()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return times


_SITUATIONS: Final[dict[str, tuple[Callable[[Tracer, int], Times], int, int]]] = {
    "One thread": (_one_thread, 20_000, 7),
    "Eight busy threads": (_eight_threads, 40_000, 7),
    "asyncio with 1,000 tasks": (_asyncio, 20_000, 5),
    "A start beside four busy threads": (_start_beside_busy, 2_500, 5),
}
"""How to sample, how many spans in a round, how many rounds."""
