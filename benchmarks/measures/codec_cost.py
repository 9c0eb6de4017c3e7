"""Compares the cost of a span with the compiled codec and with the pure Python one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.child import python
from benchmarks.figures import ratios, summarise
from benchmarks.harness import Case, Cases, Effort, alternate
from benchmarks.result import Result, Table
from benchmarks.shapes import MAIN_SHAPE, SHAPES

if TYPE_CHECKING:
    from benchmarks.harness import Cost

__all__ = ["measure"]

_PEERS: Final = ("no processor", "Batch + null exporter", "otel-ext mapped")
_WAYS: Final = ("compiled", "pure Python")


def measure(effort: Effort) -> Result:
    """Measure both codecs in turn, each time in a fresh process."""
    result = Result(
        "codec_cost",
        "The compiled codec and the pure Python one",
        "CPU that one span with four attributes adds, relative to Batch + null in the same"
        " process; and CPU of encoding a request of 512 final spans with ten attributes for a"
        " collector, relative to the stock encoder in the same process. Processes with and without"
        " the compiled part take turns.",
    )
    turns = effort.pick(full=5, quick=2, tiny=1)
    added: dict[str, list[float]] = {way: [] for way in _WAYS}
    over: dict[str, list[float]] = {way: [] for way in _WAYS}
    encoded: dict[str, list[float]] = {way: [] for way in _WAYS}
    for _ in range(turns):
        for way in _WAYS:
            printed = python("-m", "benchmarks.measures.codec_cost", way, effort.name)
            ours, base, encoding = json.loads(printed.splitlines()[-1])
            encoded[way].append(encoding)
            added[way].append(ours / 1_000)
            if base is not None:
                over[way].append(base)
    rows: list[list[str]] = []
    for way in _WAYS:
        shown = "too small to tell"
        if over[way]:
            figure = result.figures[f"cpu over Batch + null, {way}"] = summarise(over[way])
            shown = figure.show()
        rows.append([way, summarise(added[way]).show(), shown])
    columns = ["codec", "CPU added, µs", "added, over Batch + null"]
    result.tables.append(Table("Both records of a span", columns, rows))
    figures = {way: summarise(encoded[way]) for way in _WAYS}
    result.figures |= {f"encoding over stock, {way}": one for way, one in figures.items()}
    rows = [[way, one.show(3)] for way, one in figures.items()]
    result.tables.append(Table("A final span, encoded", ["codec", "over the stock encoder"], rows))
    return result


def _hide_compiled() -> None:
    """Make `import otel_ext._speed` fail, as if it had not been built."""
    sys.modules["otel_ext._speed"] = None  # type: ignore[assignment]


def _measure_here(effort: Effort) -> tuple[float, float | None]:
    from benchmarks.peers import make_rig  # noqa: PLC0415 - after the compiled part is hidden

    rigs = {name: rig for name in _PEERS if (rig := make_rig(name)) is not None}
    work = SHAPES[MAIN_SHAPE]
    cases = [
        Case(name, lambda count, rig=rig: work(rig.tracer, count), rig.drain, rig.close)  # type: ignore[misc]
        for name, rig in rigs.items()
    ]
    with Cases(cases):
        costs: dict[str, list[Cost]] = alternate(
            cases,
            rounds=effort.pick(full=9, quick=3, tiny=1),
            count=effort.pick(full=2_000, quick=300, tiny=20),
        )
    bare, base, ours = ([cost.cpu for cost in costs[name]] for name in _PEERS)
    added = summarise([one - under for one, under in zip(ours, bare, strict=True)])
    try:
        return added.value, ratios(ours, base, bare).value
    except ValueError:  # no added cost was measurable, in rounds as short as a test's
        return added.value, None


def _measure_encoding(effort: Effort) -> float:
    from benchmarks.encoding import OURS, STOCK, encoding_cases  # noqa: PLC0415 - as above

    rounds = effort.pick(full=9, quick=3, tiny=1)
    costs = alternate(encoding_cases(), rounds=rounds, count=1)
    ours, stock = ([cost.cpu for cost in costs[name]] for name in (OURS, STOCK))
    return ratios(ours, stock).value


def main() -> int:
    """Measure one codec in this process; print the added nanoseconds, and two ratios."""
    way, effort = sys.argv[1:]
    if way == _WAYS[1]:
        _hide_compiled()
    found = [*_measure_here(Effort(effort)), _measure_encoding(Effort(effort))]
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
