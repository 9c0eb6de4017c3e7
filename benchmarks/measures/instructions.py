"""Counts the instructions that a span adds, on the caller's thread and on all others."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.callgrind import Counted, count_instructions, is_installed
from benchmarks.counted import MARK, MARKS, WAYS, Stretch, plan
from benchmarks.figures import ratios, summarise
from benchmarks.result import Chart, Result, Table
from benchmarks.shapes import FAILING_SHAPE, MAIN_SHAPE, NEW_URL_SHAPE

if TYPE_CHECKING:
    from benchmarks.harness import Effort

__all__ = ["measure"]

_NONE: Final = "no processor"
_BASE: Final = "Batch + null exporter"
_ENCODING: Final = "Batch + OTLP encoding"
_OURS: Final = "otel-ext: configure(redact='off')"
_REDACTING: Final = "otel-ext: configure()"
_BY_HAND: Final = "otel-ext: LifecycleSpanProcessor(JsonlExporter(...))"
_PURE: Final = "otel-ext: configure(redact='off'), pure Python"
# What the targets need. Where things lie in memory decides how often the interpreter's caches miss;
# that is a small part of a span, but not beside what a processor adds.
_REPEATED: Final = (_NONE, _BASE, _OURS, _BY_HAND)


class _Costs(NamedTuple):
    """Instructions of a span, one value for each stretch that counts.

    Attributes:
        caller: On the thread that makes the span.
        all_threads: On all threads, flush included.
    """

    caller: list[float]
    all_threads: list[float]

    @property
    def others(self) -> list[float]:
        return [every - one for every, one in zip(self.all_threads, self.caller, strict=True)]


class _Ratio(NamedTuple):
    """A figure: what one way adds over what another adds."""

    shape: str
    of: str
    to: str
    threads: str = "caller"


_RATIOS: Final = {
    "caller, over Batch + null": _Ratio(MAIN_SHAPE, _OURS, _BASE),
    "caller, over Batch + null, redacting": _Ratio(MAIN_SHAPE, _REDACTING, _BASE),
    "caller, over Batch + null, added by hand": _Ratio(MAIN_SHAPE, _BY_HAND, _BASE),
    "caller, over Batch + null, pure Python": _Ratio(MAIN_SHAPE, _PURE, _BASE),
    "all threads, over Batch + null": _Ratio(MAIN_SHAPE, _OURS, _BASE, "all_threads"),
    "all threads, over Batch + null, redacting": _Ratio(
        MAIN_SHAPE, _REDACTING, _BASE, "all_threads"
    ),
    "exception, redacting: all threads, over Batch + OTLP encoding": _Ratio(
        FAILING_SHAPE, _REDACTING, _ENCODING, "all_threads"
    ),
    "new URL, redacting: all threads, over Batch + OTLP encoding": _Ratio(
        NEW_URL_SHAPE, _REDACTING, _ENCODING, "all_threads"
    ),
}


def measure(effort: Effort) -> Result:
    """Count the caller's thread of each way in one process or several, all threads in another."""
    result = Result(
        "instructions",
        "Instructions of one span",
        "Start and end of a span, counted by callgrind in stretches of up to 300, each followed by"
        " a flush on another thread; what the first stretch of each kind needs is left out. 'Added'"
        " is the difference from a provider without a processor. Garbage collection counts."
        " Instructions say nothing of caches and locks, but they hardly vary from run to run: where"
        " a way ran in several processes, the caller's are the median of them."
        " The compiled part uses only the public API of CPython.",
    )
    if not is_installed():
        result.notes += [f"{key}: valgrind is not installed." for key in _RATIOS]
        return result
    stretches = plan(effort)
    try:
        found = _count(effort, stretches, result)
    except (RuntimeError, OSError) as error:
        result.notes += [f"{key}: valgrind failed." for key in _RATIOS]
        result.notes.append(str(error))
        return result
    for shape in dict.fromkeys(stretch.shape for stretch in stretches):
        _tabulate(result, shape, found)
    for key, one in _RATIOS.items():
        of, to, bare = (
            getattr(found[way, one.shape], one.threads) for way in (one.of, one.to, _NONE)
        )
        try:
            result.figures[key] = ratios(of, to, bare)
        except ValueError as error:
            result.notes.append(f"{key}: {error}.")
    return result


def _count(
    effort: Effort, stretches: list[Stretch], result: Result
) -> dict[tuple[str, str], _Costs]:
    def run(way: str, only_caller: bool) -> Counted:  # noqa: FBT001 - of a pair for `map`
        arguments = ["-m", "benchmarks.counted", way, effort.name]
        environ = WAYS[way].environ
        return count_instructions(arguments, MARK, only_caller=only_caller, extra=environ)

    callers = [way for way in WAYS for _ in range(_runs(way, effort))]
    pairs = [*((way, True) for way in callers), *((way, False) for way in WAYS)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # load does not change what is counted
        done = list(zip(pairs, pool.map(run, *zip(*pairs, strict=True)), strict=True))
    spans = sum(stretch.spans for stretch in stretches)
    parts: dict[tuple[str, bool], list[list[int]]] = {}
    for (way, only_caller), one in done:
        if len(one.parts) != MARKS * len(stretches):
            raise RuntimeError(f"{way}: {len(one.parts)} parts of {len(stretches)} stretches")
        parts.setdefault((way, only_caller), []).append(one.parts)
        least, exported = WAYS[way].records * spans, int(one.printed.split()[-1])
        if exported < least:
            result.notes.append(f"{way}: only {exported} of {least} were exported.")
    _compare_runs(result, stretches, {way: parts[way, True] for way in WAYS})
    return {
        (way, shape): _costs(shape, stretches, parts[way, True], parts[way, False][0])
        for way in WAYS
        for shape in dict.fromkeys(stretch.shape for stretch in stretches)
    }


def _runs(way: str, effort: Effort) -> int:
    return effort.pick(full=3, quick=2, tiny=1) if way in _REPEATED else 1


def _costs(
    shape: str, stretches: list[Stretch], callers: list[list[int]], every: list[int]
) -> _Costs:
    costs = _Costs([], [])
    for at, stretch in enumerate(stretches):
        if stretch.shape == shape and stretch.counts:
            # The part before a stretch belongs to none.
            work, flush = MARKS * at + 1, MARKS * at + 2
            costs.caller.append(median(parts[work] for parts in callers) / stretch.spans)
            # The caller's own share of the flush is the wait for it.
            costs.all_threads.append((every[work] + every[flush]) / stretch.spans)
    return costs


def _tabulate(result: Result, shape: str, found: dict[tuple[str, str], _Costs]) -> None:
    bare = found[_NONE, shape]
    base = _added(found[_BASE, shape].caller, bare.caller)
    rows: list[list[str]] = []
    series: dict[str, list[float]] = {}
    for way in WAYS:
        costs = found[way, shape]
        if way == _NONE:
            rows.append([way, summarise(costs.caller).show(0), "", "", ""])
            continue
        caller = summarise(_added(costs.caller, bare.caller))
        others = summarise(_added(costs.others, bare.others))
        over = ratios(_added(costs.caller, bare.caller), base).show()
        shown = [caller.show(0), others.show(0), over]
        rows.append([way, summarise(costs.caller).show(0), *shown])
        series[way] = [caller.value, others.value]
        if way.startswith("otel-ext"):  # a peer that becomes worse is no regression
            result.figures[f"{shape}: {way}: caller, instructions"] = caller
            result.figures[f"{shape}: {way}: other threads, instructions"] = others
    columns = ["", "caller", "added, caller", "added, other threads", "caller, over Batch + null"]
    result.tables.append(Table(f"Instructions of a span: {shape}", columns, rows))
    if shape == MAIN_SHAPE:
        labels = ["the caller's thread", "all other threads"]
        title = "Instructions that a span adds"
        result.charts.append(Chart("instructions", title, "instructions", labels, series, log=True))


def _added(costs: list[float], bare: list[float]) -> list[float]:
    return [one - under for one, under in zip(costs, bare, strict=True)]


def _compare_runs(
    result: Result, stretches: list[Stretch], callers: dict[str, list[list[int]]]
) -> None:
    """Note how much the caller's instructions differ between the processes of one way."""
    for way, runs in callers.items():
        found = [
            summarise(_costs(MAIN_SHAPE, stretches, [parts], parts).caller).value for parts in runs
        ]
        if len(runs) > 1:
            result.notes.append(
                f"{way}: of {len(runs)} processes, the least and the most differ by"
                f" {max(found) - min(found):.0f} instructions,"
                f" {100 * (max(found) / min(found) - 1):.2f} % of a span with four attributes."
            )
