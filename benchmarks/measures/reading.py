"""Measures what reading costs: validate, decode and merge, and how that grows with the file."""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time_ns
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure, summarise
from benchmarks.recorded import write_records
from benchmarks.result import Chart, Result, Table
from otel_ext.record.decode import decode_line
from otel_ext.record.merge import Merger
from otel_ext.record.schema.validation import validate_stream

if TYPE_CHECKING:
    from benchmarks.harness import Effort

__all__ = ["measure"]

_SIZES: Final = (10_000, 100_000, 1_000_000)
_LARGE: Final = 500_000
_BATCH: Final = 1_000
_STEPS: Final = ("validate", "decode", "merge")


def measure(effort: Effort) -> Result:
    """Read files of growing size."""
    result = Result(
        "reading",
        "Reading records",
        "A file of spans with four attributes, a start and an end each, as the exporter writes"
        " it. 'Validate' is what `otel-ext validate` does with each line; 'decode' makes"
        " records of the lines; 'merge' keeps the winning record of each span. Microseconds of"
        " CPU a record; if the growth is linear, each column has the same figure.",
    )
    scale = effort.pick(full=1, quick=50, tiny=2_000)
    sizes = [max(2, size // scale) for size in _SIZES]
    repeats = effort.pick(full=3, quick=2, tiny=1)
    found: dict[str, list[Figure]] = {step: [] for step in _STEPS}
    size_of_file = 0
    for size in sizes:
        with TemporaryDirectory(prefix="otel-ext-bench-") as folder:
            path = Path(folder, "records.jsonl")
            write_records(path, size)
            size_of_file = path.stat().st_size
            # The largest file takes so long that one reading gives a firm figure.
            turns = [_read(path, size) for _ in range(1 if size > _LARGE else repeats)]
        for step in _STEPS:
            found[step].append(summarise([turn[step] for turn in turns]))
    columns = ["", *(f"{size:,} records" for size in sizes)]
    rows = [[step, *(figure.show() for figure in figures)] for step, figures in found.items()]
    result.tables.append(Table("CPU for one record", columns, rows))
    for step, figures in found.items():
        growth = figures[-1].value / figures[0].value
        result.figures[f"{step}: the largest file over the smallest, per record"] = Figure(
            growth, growth, growth, 1
        )
    result.notes.append(f"The largest file has {size_of_file / 1e6:,.0f} MB.")
    totals = {
        step: [figure.value * size / 1e6 for figure, size in zip(figures, sizes, strict=True)]
        for step, figures in found.items()
    }
    labels = [str(size) for size in sizes]
    title = "Reading: CPU by the number of records"
    result.charts.append(Chart("reading", title, "s", labels, totals, lines=True, log=True))
    return result


def _read(path: Path, count: int) -> dict[str, float]:
    """Read a file of `count` records; return microseconds of CPU for each record, by step."""
    gc.collect()
    begin = process_time_ns()
    with path.open("rb") as file:
        wrong = sum(bool(report.reasons) for report in validate_stream(file))
    if wrong:
        raise RuntimeError(f"{wrong} records that the benchmark wrote are not valid")
    validated = process_time_ns() - begin
    decoded = merged = 0
    merger = Merger()
    with path.open("rb") as file:
        while lines := [line for _, line in zip(range(_BATCH), file, strict=False)]:
            begin = process_time_ns()
            records = list(map(decode_line, lines))
            middle = process_time_ns()
            for record in records:
                merger.add(record)
            decoded += middle - begin
            merged += process_time_ns() - middle
    if len(merger) != count // 2:
        raise RuntimeError(f"{count} records were merged into {len(merger)} spans")
    taken = (validated, decoded, merged)
    return {step: ns / count / 1_000 for step, ns in zip(_STEPS, taken, strict=True)}
