"""Measures the hooks of spans 1 ms apart, as most programs make them, and back to back."""

from __future__ import annotations

import gc
from statistics import mean, median
from time import perf_counter_ns, process_time_ns, sleep, thread_time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor

from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, rotations
from benchmarks.peers import Rig, make_rig
from benchmarks.result import Result, Table
from benchmarks.shapes import FOUR

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer

__all__ = ["measure"]

_FLOOR: Final = "no-op processor"
_BASE: Final = "Batch + null exporter"
_OURS: Final = "otel-ext mapped"
_PEERS: Final = (
    _FLOOR,
    _BASE,
    "Batch + OTLP encoding",
    _OURS,
    "otel-ext mapped, redacting",
    "otel-ext JsonlExporter, added by hand",
)
_QUEUE: Final = 100_000  # large enough that no peer drops spans
_PAUSES: Final = {"1 ms apart": 0.001, "back to back": 0.0}
_US: Final = 1_000.0


class _Timed(SpanProcessor):
    """Times the hooks of a processor: elapsed time, and processor time of the caller's thread."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        self.times: list[int] = []
        self.cpu: list[int] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Time the start of a span."""
        cpu, began = thread_time_ns(), perf_counter_ns()
        self._inner.on_start(span, parent_context)
        ended = perf_counter_ns()
        self.cpu.append(thread_time_ns() - cpu)
        self.times.append(ended - began)

    def on_end(self, span: ReadableSpan) -> None:
        """Time the end of a span, and add it to that of its start."""
        cpu, began = thread_time_ns(), perf_counter_ns()
        self._inner.on_end(span)
        ended = perf_counter_ns()
        self.cpu[-1] += thread_time_ns() - cpu
        self.times[-1] += ended - began


class _Costs(NamedTuple):
    """What a span took in one round, in microseconds."""

    time: float
    cpu: float
    all_threads: float


def measure(effort: Effort) -> Result:
    """Measure all peers in turn, with pauses between the spans and without."""
    result = Result(
        "spans_apart",
        "Spans that are 1 ms apart",
        "The hooks of a span with four attributes, its start and its end, without the span itself."
        " Between spans that are apart the thread sleeps, so the processor's caches hold little of"
        " what a hook needs: that is what users have, and benchmarks in a loop do not show it."
        " The caller's time is the median of a round, its CPU the mean; 'all threads' is the CPU"
        " of the process, flush included. Each is the difference from a processor that does"
        " nothing, in the same round. Microseconds, median and quartiles.",
    )
    found = {name: make_rig(name, _QUEUE) for name in _PEERS}
    rigs = {name: rig for name, rig in found.items() if rig is not None}
    rounds = effort.pick(full=11, quick=2, tiny=1)
    spans = effort.pick(full=200, quick=50, tiny=5)
    with Cases([Case(name, int, close=rig.close) for name, rig in rigs.items()]):
        timed = {name: _time_hooks(rig) for name, rig in rigs.items()}
        for title, pause in _PAUSES.items():
            costs: dict[str, list[_Costs]] = {name: [] for name in rigs}
            for name, rig in rigs.items():
                _round(rig, timed[name], spans, pause)
            for order in rotations(len(rigs), rounds):
                for name in (_PEERS[index] for index in order):
                    costs[name].append(_round(rigs[name], timed[name], spans, pause))
            _tabulate(result, title, costs)
    return result


def _time_hooks(rig: Rig) -> _Timed:
    """Put a stop watch between a tracer and its processors."""
    tracer = cast("Tracer", rig.tracer)
    timed = _Timed(tracer.span_processor)
    only = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
    tracer.span_processor = only
    only.add_span_processor(timed)
    return timed


def _round(rig: Rig, timed: _Timed, spans: int, pause: float) -> _Costs:
    timed.times.clear()
    timed.cpu.clear()
    gc.collect()
    cpu = process_time_ns()
    for _ in range(spans):
        with rig.tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
            pass
        if pause:
            sleep(pause)
    rig.drain()
    cpu = process_time_ns() - cpu
    return _Costs(median(timed.times) / _US, mean(timed.cpu) / _US, cpu / spans / _US)


def _tabulate(result: Result, title: str, costs: dict[str, list[_Costs]]) -> None:
    floor = costs[_FLOOR]
    base = [one.cpu for one in costs[_BASE]]
    bare = [one.cpu for one in floor]
    rows: list[list[str]] = []
    for name, found in costs.items():
        if name == _FLOOR:
            continue
        added = [
            _Costs(*(one - under for one, under in zip(mine, bare_one, strict=True)))
            for mine, bare_one in zip(found, floor, strict=True)
        ]
        columns = [summarise(values) for values in zip(*added, strict=True)]
        key = f"{title}: {name}"
        is_ours = name.startswith("otel-ext")  # only these are figures to compare
        if is_ours:
            result.figures[f"{key}: caller's CPU, µs"] = columns[1]
        row = [name, *(one.show() for one in columns)]
        try:
            over = ratios([one.cpu for one in found], base, bare)
        except ValueError as error:
            result.notes.append(f"{key}: {error}.")
            rows.append([*row, "too small to tell"])
            continue
        if is_ours:
            result.figures[f"{key}: caller's CPU, over Batch + null"] = over
        rows.append([*row, over.show()])
    headings = ["", "caller's time", "caller's CPU", "CPU of all threads", "CPU over Batch + null"]
    result.tables.append(Table(f"Spans {title}", headings, rows))
