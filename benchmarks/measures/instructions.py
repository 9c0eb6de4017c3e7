"""Counts the instructions that a span adds, on the caller's thread and on all others."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
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
    """Count each way in two processes: once the caller's thread, once all threads."""
    result = Result(
        "instructions",
        "Instructions of one span",
        "Start and end of a span, counted by callgrind in stretches of up to 300, each followed by"
        " a flush on another thread; what the first stretch of each kind needs is left out. 'Added'"
        " is the difference from a provider without a processor. Garbage collection counts."
        " Instructions say nothing of caches and locks, but they hardly vary from run to run."
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

    pairs = [(way, only_caller) for way in WAYS for only_caller in (True, False)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # load does not change what is counted
        again = pool.submit(run, _OURS, True)  # noqa: FBT003 - as for the others
        counted = dict(zip(pairs, pool.map(run, *zip(*pairs, strict=True)), strict=True))
    spans = sum(stretch.spans for stretch in stretches)
    for (way, _), one in counted.items():
        least, exported = WAYS[way].records * spans, int(one.printed.split()[-1])
        if exported < least:
            result.notes.append(f"{way}: only {exported} of {least} were exported.")
    found = {
        (way, shape): _costs(shape, stretches, counted[way, True].parts, counted[way, False].parts)
        for way in WAYS
        for shape in dict.fromkeys(stretch.shape for stretch in stretches)
    }
    _compare_runs(result, stretches, found, again.result().parts)
    return found


def _costs(shape: str, stretches: list[Stretch], caller: list[int], every: list[int]) -> _Costs:
    if len(caller) != len(every) or len(caller) != MARKS * len(stretches):
        raise RuntimeError(f"{len(caller)} and {len(every)} parts of {len(stretches)} stretches")
    costs = _Costs([], [])
    for at, stretch in enumerate(stretches):
        if stretch.shape == shape and stretch.counts:
            # The part before a stretch belongs to none.
            work, flush = MARKS * at + 1, MARKS * at + 2
            costs.caller.append(caller[work] / stretch.spans)
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
    result: Result,
    stretches: list[Stretch],
    found: dict[tuple[str, str], _Costs],
    again: list[int],
) -> None:
    """Note how much the caller's instructions differ between two processes of one way."""
    differing: dict[str, float] = {}
    for (way, shape), costs in found.items():
        if way == _OURS:
            second = summarise(_costs(shape, stretches, again, again).caller).value
            differing[shape] = 100 * abs(second / summarise(costs.caller).value - 1)
    shown = ", ".join(f"{value:.2f} % ({shape})" for shape, value in differing.items())
    result.notes.append(
        f"{_OURS}: in a second process the caller's instructions differ by {shown}."
    )
