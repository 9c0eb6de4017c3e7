"""Measures what one span costs, with both of its records written to the file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure, ratios, summarise
from benchmarks.harness import Case, Cases, Cost, Effort, alternate
from benchmarks.peers import PEERS, Rig, make_rig
from benchmarks.result import Chart, Result, Table
from benchmarks.shapes import FAILING_SHAPE, MAIN_SHAPE, NEW_URL_SHAPE, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

__all__ = ["measure"]

NONE: Final = "no processor"
OURS: Final = "otel-ext mapped"
REDACTING: Final = "otel-ext mapped, redacting"
BASE: Final = "Batch + null exporter"
ENCODING: Final = "Batch + OTLP encoding"
_RATIOS: Final = {
    BASE: "cpu over Batch + null",
    ENCODING: "cpu over Batch + OTLP encoding",
    "logfire pending spans + null exporter": "cpu over logfire pending",
}
_OTHER_WAYS: Final = {
    REDACTING: "cpu over Batch + null, redacting",
    "otel-ext JsonlExporter, added by hand": "cpu over Batch + null, added by hand",
}
_ROUNDS: Final = 15
_SPANS: Final = 2_000  # what the SDK's queue holds before it drops some
_NS: Final = 1_000.0  # to microseconds


def measure(effort: Effort) -> Result:
    """Measure all peers with all shapes of spans."""
    result = Result(
        "span_cost",
        "The cost of one span",
        "Start and end of a span, in stretches of 2,000, each followed by a flush; the peers"
        " take turns. Wall time is the caller's. CPU time is that of all threads, flush"
        " included; 'added' is the difference from a provider without a processor in the same"
        " round. Microseconds, median and quartiles.",
    )
    found = {name: make_rig(name) for name in PEERS}
    rigs = {name: rig for name, rig in found.items() if rig is not None}
    result.notes += [f"Not installed, so left out: {name}." for name in found if name not in rigs]
    cpu: dict[str, list[float]] = {name: [] for name in rigs if name != NONE}
    with Cases([Case(name, int, close=rig.close) for name, rig in rigs.items()]):
        for shape, work in SHAPES.items():
            costs = _alternate(rigs, work, effort)
            _tabulate(result, shape, costs)
            for name, values in cpu.items():
                values.append(summarise(_added(costs, name)).value / _NS)
        _check(rigs, result, effort)
    free = ("otel-ext disabled", "no-op processor")
    shown = {name: values for name, values in cpu.items() if name not in free}
    result.charts.append(
        Chart("span-cost", "Added CPU of one span", "µs", list(SHAPES), shown, log=True)
    )
    return result


def _alternate(
    rigs: dict[str, Rig], work: Callable[[Tracer, int], None], effort: Effort
) -> dict[str, list[Cost]]:
    cases = [Case(name, partial(work, rig.tracer), rig.drain) for name, rig in rigs.items()]
    rounds = effort.pick(full=_ROUNDS, quick=2, tiny=1)
    return alternate(cases, rounds=rounds, count=effort.pick(full=_SPANS, quick=300, tiny=20))


def _added(costs: dict[str, list[Cost]], name: str) -> list[float]:
    return [one.cpu - bare.cpu for one, bare in zip(costs[name], costs[NONE], strict=True)]


def _tabulate(result: Result, shape: str, costs: dict[str, list[Cost]]) -> None:
    bare = [cost.cpu for cost in costs[NONE]]
    base = [cost.cpu for cost in costs[BASE]]
    rows: list[list[str]] = []
    for name, found in costs.items():
        cpu = [cost.cpu for cost in found]
        row = [name, _show(summarise([cost.wall for cost in found])), _show(summarise(cpu))]
        added = "" if name == NONE else _show(summarise(_added(costs, name)))
        row += [added, "" if name == NONE else _show_ratio(cpu, base, bare)]
        rows.append(row)
    columns = ["", "wall", "CPU", "CPU added", "added, over Batch + null"]
    result.tables.append(Table(f"A span: {shape}", columns, rows))
    _put_figures(result, shape, costs)


def _put_figures(result: Result, shape: str, costs: dict[str, list[Cost]]) -> None:
    """Add the figures that the targets name."""
    cpu = {name: [cost.cpu for cost in found] for name, found in costs.items()}
    bare = cpu[NONE]
    if shape == MAIN_SHAPE:
        for name, key in _RATIOS.items():
            if name in cpu:
                _put_ratio(result, key, cpu[OURS], cpu[name], bare)
        for name, key in _OTHER_WAYS.items():
            _put_ratio(result, key, cpu[name], cpu[BASE], bare)
        _put_ratio(result, "disabled over no processor", cpu["otel-ext disabled"], bare, None)
    if shape == FAILING_SHAPE:
        key = "exception, redacting, over Batch + OTLP encoding"
        _put_ratio(result, key, cpu[REDACTING], cpu[ENCODING], bare)
    if shape == NEW_URL_SHAPE:
        added = [one / _NS for one in _added(costs, REDACTING)]
        result.figures["new URL, redacting: added, µs"] = summarise(added)


def _put_ratio(
    result: Result, key: str, of: list[float], to: list[float], bare: list[float] | None
) -> None:
    try:
        result.figures[key] = ratios(of, to, bare)
    except ValueError as error:
        result.notes.append(f"{key}: {error}.")


def _show(figure: Figure) -> str:
    return Figure(figure.value / _NS, figure.low / _NS, figure.high / _NS, figure.rounds).show()


def _show_ratio(of: list[float], to: list[float], bare: list[float]) -> str:
    try:
        return ratios(of, to, bare).show()
    except ValueError:
        return "too small to tell"


def _check(rigs: dict[str, Rig], result: Result, effort: Effort) -> None:
    """Note which peers dropped spans, since a dropped span costs little."""
    spans = len(SHAPES) * (effort.pick(full=_ROUNDS, quick=2, tiny=1) + 1)
    spans *= effort.pick(full=_SPANS, quick=300, tiny=20)
    for name, rig in rigs.items():
        rig.drain()
        written = rig.written()
        # Ours also write a record at each start, and a few about the process.
        least = 2 * spans if name.startswith("otel-ext") else spans
        if written and written < least:
            result.notes.append(f"{name}: only {written} of {least} were exported.")
