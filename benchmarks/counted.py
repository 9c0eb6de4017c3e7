"""Makes spans in stretches, for callgrind to count the instructions of each stretch.

As a program: `python -m benchmarks.counted WAY EFFORT`, which `benchmarks.callgrind` starts. Before
and after each stretch, and when other threads have done what it left to them, it calls a function
at which callgrind writes down its counts. So nothing of the start of the program is counted, and
the first stretch of each shape, which fills caches, is apart.
"""

from __future__ import annotations

import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.callgrind import begin_counting
from benchmarks.harness import Effort
from benchmarks.peers import Rig, make_configured, make_rig
from benchmarks.shapes import FAILING_SHAPE, MAIN_SHAPE, NEW_URL_SHAPE, SHAPES
from otel_ext._accel import PURE_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MARK", "MARKS", "WAYS", "Stretch", "Way", "plan"]

MARK: Final = "getloadavg"
"""The function of the C library at which callgrind writes its counts; nothing else calls it."""

MARKS: Final = 3
"""How often a stretch calls it: before, after, and when other threads have done the rest."""

# More than any stretch has, so that the SDK drops none.
_QUEUE: Final = 100_000
# Other threads work when the caller waits, and not at times that depend on the machine's speed.
_SWITCH_SECONDS: Final = 1_000.0


class Stretch(NamedTuple):
    """Spans of one shape.

    Attributes:
        shape: A key of `SHAPES`.
        spans: How many.
        counts: Whether it counts: the first of each shape does not.
    """

    shape: str
    spans: int
    counts: bool


class Way(NamedTuple):
    """A way of processing spans.

    Attributes:
        make: Starts it.
        records: How many records or spans each span exports.
        environ: The variables that its process needs.
    """

    make: Callable[[], Rig | None]
    records: int
    environ: Mapping[str, str] = {}


def _peer(name: str) -> Callable[[], Rig | None]:
    return lambda: make_rig(name, _QUEUE)


WAYS: Final[dict[str, Way]] = {
    "no processor": Way(_peer("no processor"), 0),
    "Batch + null exporter": Way(_peer("Batch + null exporter"), 1),
    "Batch + OTLP encoding": Way(_peer("Batch + OTLP encoding"), 1),
    "otel-ext: configure(redact='off')": Way(lambda: make_configured("off"), 2),
    "otel-ext: configure()": Way(lambda: make_configured("default"), 2),
    "otel-ext: LifecycleSpanProcessor(JsonlExporter(...))": Way(
        _peer("otel-ext JsonlExporter, added by hand"), 2
    ),
    "otel-ext: configure(redact='off'), pure Python": Way(
        lambda: make_configured("off"), 2, {PURE_PYTHON: "1"}
    ),
}
"""What is counted, each in processes of its own."""


def plan(effort: Effort) -> list[Stretch]:
    """Return the stretches of a run, in their order.

    >>> [one.counts for one in plan(Effort("tiny")) if one.shape == "4 attributes"]
    [False, True]
    """
    turns = effort.pick(full=5, quick=2, tiny=1)
    spans = {
        MAIN_SHAPE: effort.pick(full=300, quick=100, tiny=10),
        FAILING_SHAPE: effort.pick(full=60, quick=20, tiny=5),
        NEW_URL_SHAPE: effort.pick(full=100, quick=30, tiny=5),
    }
    return [
        Stretch(shape, count, turn > 0)
        for shape, count in spans.items()
        for turn in range(turns + 1)
    ]


def main() -> int:
    """Make the spans, and print how many records or spans were exported."""
    way, effort = sys.argv[1:]
    rig = WAYS[way].make()
    if rig is None:
        raise RuntimeError(f"{way} is not installed")
    begin_counting()
    sys.setswitchinterval(_SWITCH_SECONDS)
    with ThreadPoolExecutor(1) as other:
        for stretch in plan(Effort(effort)):
            # What a flush does is not the caller's: programs leave it to other threads.
            other.submit(rig.drain).result()
            gc.collect()
            os.getloadavg()
            SHAPES[stretch.shape](rig.tracer, stretch.spans)
            os.getloadavg()
            other.submit(rig.drain).result()
            os.getloadavg()
    sys.stdout.write(f"{rig.written()}\n")
    rig.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
