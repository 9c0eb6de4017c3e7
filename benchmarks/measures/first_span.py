"""Measures what the first span costs its caller, in a fresh process and in a forked worker."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.child import python
from benchmarks.figures import ratios, summarise
from benchmarks.harness import Effort, rotations
from benchmarks.result import Result, Table

__all__ = ["measure"]

_PLAIN: Final = "no processor"
_BATCH: Final = "Batch + console exporter to nowhere"
_FILE: Final = "otel-ext: JsonlExporter"
_WHOLE: Final = "otel-ext: configure()"
_WAYS: Final = {
    _PLAIN: "",
    _BATCH: """\
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=open(os.devnull, "w"))))
""",
    _FILE: """\
from otel_ext.exporters import JsonlExporter
from otel_ext.processors import LifecycleSpanProcessor
provider.add_span_processor(LifecycleSpanProcessor(JsonlExporter(folder)))
""",
    _WHOLE: """\
import otel_ext
otel_ext.configure(output=folder, console="off", tracer_provider=provider)
""",
}
# Processor time of this thread alone, so that other load on the machine does not count.
_TIMED: Final = """\
import os, sys, time
from opentelemetry.sdk.trace import TracerProvider
forks, folder = sys.argv[1:]
provider = TracerProvider(shutdown_on_exit=False)
{way}
tracer = provider.get_tracer("first")
def first():
    begin = time.thread_time_ns()
    with tracer.start_as_current_span("first"):
        pass
    return time.thread_time_ns() - begin
if forks and os.fork():
    os.wait()
    os._exit(0)
os.write(1, str(first()).encode())
os._exit(0)
"""
_PROCESSES: Final = {"In a fresh process": "", "In a forked worker": "yes"}


def measure(effort: Effort) -> Result:
    """Time first spans in fresh processes that take turns."""
    result = Result(
        "first_span",
        "The first span of a process",
        "Start and end of the first span, in fresh processes that take turns, and in a child"
        " that was forked before any span. Processor time of the calling thread in"
        " milliseconds, median and quartiles. The first record makes the folder, the ring"
        " buffer and the thread. In a child, the kernel copies each page that the interpreter"
        " touches.",
    )
    ways = list(_WAYS)
    found: dict[str, dict[str, list[float]]] = {
        kind: {way: [] for way in ways} for kind in _PROCESSES
    }
    rounds = effort.pick(full=41, quick=3, tiny=1)
    with TemporaryDirectory(prefix="otel-ext-bench-") as folder:
        script = Path(folder, "first.py")
        for number, order in enumerate(rotations(len(ways), rounds + 1)):
            for index in order:
                script.write_text(_TIMED.format(way=_WAYS[ways[index]]), encoding="utf-8")
                for kind, forks in _PROCESSES.items():
                    records = Path(folder, f"{number}-{index}{forks}")
                    records.mkdir()
                    taken = float(python(str(script), forks, str(records))) / 1e6
                    if number:  # the first round fills caches
                        found[kind][ways[index]].append(taken)
    for kind, times in found.items():
        plain, batch = times[_PLAIN], times[_BATCH]
        rows = [
            [way, summarise(values).show(2), ratios(values, batch).show()]
            for way, values in times.items()
        ]
        result.tables.append(Table(kind, ["", "ms", f"over {_BATCH}"], rows))
        for way in (_FILE, _WHOLE):
            beyond = [one - base for one, base in zip(times[way], plain, strict=True)]
            result.figures[f"{kind}: {way}, ms beyond"] = summarise(beyond)
            result.figures[f"{kind}: {way} over Batch"] = ratios(times[way], batch)
    return result
