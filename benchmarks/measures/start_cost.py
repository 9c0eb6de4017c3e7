"""Measures what the start of a process costs under `otel-ext run`, with instrumentations."""

from __future__ import annotations

import os
import resource
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from benchmarks.child import python
from benchmarks.figures import summarise
from benchmarks.harness import Effort, rotations
from benchmarks.result import Result, Table
from otel_ext.zero_code import AUTO, BOOTSTRAP_DIR

__all__ = ["measure"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_PLAIN: Final = "without otel-ext"
_NONE: Final = "under otel-ext run, no instrumentation"


def measure(effort: Effort) -> Result:
    """Measure the processor time of fresh processes that do nothing, in turn."""
    installed = sorted({entry.name for entry in entry_points(group="opentelemetry_instrumentor")})
    every = f"under otel-ext run, {len(installed)} instrumentations"
    result = Result(
        "start_cost",
        "Start of a process",
        "Fresh processes that take turns and do nothing; processor time of user and system, all"
        f" threads, in milliseconds, median and quartiles. Installed: {', '.join(installed)}.",
    )
    recorded = {
        AUTO: "true",
        "PYTHONPATH": os.pathsep.join([BOOTSTRAP_DIR, str(_ROOT)]),
        "OTEL_EXT_OUTPUT": str(Path(tempfile.gettempdir(), "otel-ext-start-cost")),
        "OTEL_EXT_CONSOLE": "off",
    }
    ways = {
        _PLAIN: {},
        _NONE: {**recorded, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
        every: recorded,
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    rounds = effort.pick(full=21, quick=3, tiny=1)
    for number, order in enumerate(rotations(len(ways), rounds + 1)):
        for index in order:
            way = list(ways)[index]
            taken = _milliseconds(ways[way])
            if number:  # the first round fills caches
                found[way].append(taken)
    rows = [[way, summarise(values).show(0)] for way, values in found.items()]
    result.tables.append(Table("Processor time of a start", ["", "ms"], rows))
    base = sorted(found[_PLAIN])
    beyond = [taken - base[len(base) // 2] for taken in found[every]]
    result.figures["start beyond without, ms"] = summarise(beyond)
    return result


def _milliseconds(variables: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python("-c", "pass", extra=variables)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds * 1e3
