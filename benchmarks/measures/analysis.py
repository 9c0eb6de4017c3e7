"""Measures reading a forest from disk, its critical path, and the commands that show it."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from opentelemetry import trace

import otel_ext
from benchmarks.child import environment
from benchmarks.figures import Figure, summarise
from benchmarks.recorded import records, write_records
from benchmarks.result import Result, Table
from otel_ext.analysis.critical_path import critical_path
from otel_ext.analysis.traces.forest import Forest
from otel_ext.analysis.traces.load import load
from otel_ext.analysis.traces.times import times_of
from otel_ext.journal.read.scanner import read_blocks
from otel_ext.record.codec import encode_line
from otel_ext.record.model import META_KEY, ThreadInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.harness import Effort

__all__ = ["measure"]

_MIB: Final = 1 << 20
# As `otel-ext` sets it: with the default, cycles are looked for again and again in what grows.
_THRESHOLD: Final = 100_000


class _Shape(NamedTuple):
    """A span of a made-up trace; times in microseconds."""

    number: int
    parent: int
    start: int
    end: int
    thread: int = 1


def measure(effort: Effort) -> Result:
    """Measure from the largest file on, so that the peak of memory is that of one reading."""
    result = Result(
        "analysis",
        "Forest, critical path and commands",
        "Files of spans with four attributes, a start and an end each. 'Over orjson.loads' is"
        " the processor time over that of parsing the same lines and doing nothing with them."
        " Commands are fresh processes, from their start to their end.",
    )
    gc.set_threshold(_THRESHOLD)
    scale = effort.pick(full=1, quick=50, tiny=5_000)
    with TemporaryDirectory(prefix="otel-ext-bench-") as folder:
        path = Path(folder, "records.jsonl")
        write_records(path, 1_000_000 // scale)
        _measure_reading(path, 1_000_000 // scale, result, effort)
        _measure_commands(Path(folder), (1 << 30) // scale, result, effort)
    _measure_shapes(100_000 // scale, result, effort)
    return result


def _measure_reading(path: Path, count: int, result: Result, effort: Effort) -> None:
    before = _peak()
    began = perf_counter()
    trees = sum(1 for _ in load([path]).forest.trees())
    seconds = perf_counter() - began
    peak = _peak()
    over: list[float] = []
    for _ in range(effort.pick(full=3, quick=1, tiny=1)):
        parsing = _cpu(lambda: _parse(path))
        over.append(_cpu(lambda: list(load([path]).forest.trees())) / parsing)
    one = summarise(over)
    result.figures["from disk to forest, s"] = summarise([seconds])
    result.figures["from disk to forest, MiB"] = summarise([peak / _MIB])
    result.figures["from disk to forest over orjson.loads"] = one
    result.tables.append(
        Table(
            "From disk to forest",
            ["records", "MB", "traces", "s", "peak, MiB", "of it before", "over orjson.loads"],
            [
                [
                    f"{count:,}",
                    f"{path.stat().st_size / 1e6:,.0f}",
                    f"{trees:,}",
                    f"{seconds:.1f}",
                    f"{peak / _MIB:.0f}",
                    f"{before / _MIB:.0f}",
                    one.show(),
                ]
            ],
        )
    )


def _parse(path: Path) -> None:
    with path.open("rb") as file:
        for block in read_blocks(file.fileno(), 0):
            for line in block.lines:
                orjson.loads(line)


def _measure_commands(folder: Path, size: int, result: Result, effort: Effort) -> None:
    large = folder / "large"
    large.mkdir()
    line = len(encode_line(next(records(2))))
    write_records(large / "records.jsonl", max(40, size // line))
    commands = {
        "ps, s": ("`otel-ext ps`, of ten running spans", ["ps", str(folder / "live")]),
        "tree --trace of 1 GB, s": (
            f"`otel-ext tree --trace ID` of {_size(large) / 1e9:.2f} GB",
            ["tree", "--trace", f"{2:032x}", str(large)],
        ),
        "tree of 1 GB, s": ("`otel-ext tree` of the same: the newest", ["tree", str(large)]),
    }
    recording = otel_ext.configure(output=str(folder / "live"), console="off")
    tracer = trace.get_tracer("benchmark")
    spans = [tracer.start_span("GET /orders") for _ in range(10)]
    rows: list[list[str]] = []
    for key, (name, words) in commands.items():
        _run(words)
        rounds = effort.pick(full=7, quick=2, tiny=1)
        figure = summarise([_run(words) for _ in range(rounds)])
        result.figures[key] = figure
        rows.append([name, figure.show()])
    for span in spans:
        span.end()
    recording.shutdown()
    result.tables.append(Table("Commands, from start to end", ["", "s"], rows))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _run(words: Sequence[str]) -> float:
    began = perf_counter()
    command = [sys.executable, "-m", "otel_ext", *words]
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return perf_counter() - began


def _measure_shapes(count: int, result: Result, effort: Effort) -> None:
    rows: list[list[str]] = []
    worst = Figure(0, 0, 0, 0)
    for name, shapes in {
        "a chain": _chain(count),
        "one parent of all": _wide(count),
        "eight threads of a pool": _pool(count),
        "random": _random(count),
    }.items():
        metas = _metas(shapes)
        gc.freeze()  # else the collector looks at these again and again
        turns = [_shape_cost(metas) for _ in range(effort.pick(full=5, quick=2, tiny=1))]
        both = summarise([tree + path for _, tree, path in turns])
        worst = max(worst, both)
        steps = [summarise(list(step)) for step in zip(*turns, strict=True)]
        rows.append([name, *(step.show() for step in steps), both.show()])
    result.figures["forest and critical path, s"] = worst
    columns = ["", "spans of records", "tree", "critical path", "tree and path"]
    result.tables.append(Table(f"A trace of {count:,} spans, seconds of CPU", columns, rows))


def _shape_cost(metas: Sequence[Mapping[str, object]]) -> tuple[float, float, float]:
    """Return what it takes to add records to a forest, to make the tree, and to find its path."""
    forest = Forest()
    gc.collect()
    began = process_time()
    for meta in metas:
        forest.add(meta)
    added = process_time()
    (tree,) = forest.trees()
    made = process_time()
    critical_path(tree, times_of(tree))
    return added - began, made - added, process_time() - made


def _cpu(work: Callable[[], object]) -> float:
    gc.collect()
    began = process_time()
    work()
    return process_time() - began


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def _chain(count: int) -> list[_Shape]:
    return [_Shape(one, one - 1, one, 2 * count - one) for one in range(count)]


def _wide(count: int) -> list[_Shape]:
    return [_Shape(0, -1, 0, count)] + [_Shape(one, 0, one, one + 1) for one in range(1, count)]


def _pool(count: int) -> list[_Shape]:
    random = Random(1)  # noqa: S311 - the same shape each time
    return [_Shape(0, -1, 0, 2 * count)] + [
        _Shape(one, 0, one, one + random.randrange(8), one % 8) for one in range(1, count)
    ]


def _random(count: int) -> list[_Shape]:
    random = Random(1)  # noqa: S311 - the same shape each time
    made = [_Shape(0, -1, 0, 10**12)]
    for number in range(1, count):
        parent = made[random.randrange(number)]
        start = random.randint(parent.start, parent.end)
        made.append(_Shape(number, parent.number, start, random.randint(start, parent.end)))
    random.shuffle(made)
    return made


def _metas(shapes: Sequence[_Shape]) -> list[dict[str, object]]:
    """Return the metadata of the ends of spans, as parsed from their lines."""
    _, end = records(2)
    metas: list[dict[str, object]] = []
    for one in shapes:
        start_ns = end.time_ns + one.start * 1_000
        record = end._replace(
            trace_id="7" * 32,
            span_id=f"{one.number + 1:016x}",
            parent_span_id=f"{one.parent + 1:016x}" if one.parent >= 0 else "",
            start_ns=start_ns,
            time_ns=start_ns + (one.end - one.start) * 1_000,
            thread=ThreadInfo(one.thread, "worker"),
        )
        metas.append(orjson.loads(encode_line(record))[META_KEY])
    return metas
