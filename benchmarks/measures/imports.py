"""Measures how long the import of otel_ext takes, over that of the SDK's tracing alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.child import python
from benchmarks.figures import ratios, summarise
from benchmarks.harness import Effort, rotations
from benchmarks.result import Result, Table

__all__ = ["measure"]

_NEVER_MADE: Final = str(Path(tempfile.gettempdir(), "otel-ext-imports"))
_SDK: Final = "import opentelemetry.sdk.trace"
_WAYS: Final = {
    "the SDK's tracing alone": _SDK,
    "otel_ext alone": "import otel_ext",
    "otel_ext, and the SDK's tracing": f"import otel_ext; {_SDK}",
    "configure() called, on the SDK": (
        f"{_SDK}; import otel_ext; otel_ext.configure(output={_NEVER_MADE!r}, console='off')"
    ),
}
_TIMED: Final = """\
import time
begin = time.perf_counter_ns()
{statement}
print(time.perf_counter_ns() - begin)
"""


def measure(effort: Effort) -> Result:
    """Time the imports in fresh processes, in turn."""
    result = Result(
        "imports",
        "Import time",
        "The time of the import, in fresh processes that take turns; the bytecode is cached."
        " Milliseconds, median and quartiles.",
    )
    ways = list(_WAYS)
    found: dict[str, list[float]] = {way: [] for way in ways}
    rounds = effort.pick(full=15, quick=3, tiny=1)
    for number, order in enumerate(rotations(len(ways), rounds + 1)):
        for index in order:
            code = _TIMED.format(statement=_WAYS[ways[index]])
            taken = float(python("-c", code).split()[0]) / 1e6
            if number:  # the first round fills caches
                found[ways[index]].append(taken)
    base = found["the SDK's tracing alone"]
    rows = [
        [way, summarise(values).show(1), ratios(values, base).show()]
        for way, values in found.items()
    ]
    result.tables.append(Table("Import", ["", "ms", "over the SDK's tracing"], rows))
    ours = found["otel_ext, and the SDK's tracing"]
    result.figures["import over sdk.trace"] = ratios(ours, base)
    whole = found["configure() called, on the SDK"]
    result.figures["configure over sdk.trace"] = ratios(whole, base)
    return result
