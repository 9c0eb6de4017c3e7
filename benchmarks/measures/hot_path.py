"""Measures the steps within a span's start: the hook, the table of open spans, the append."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, cast

from benchmarks.child import python
from benchmarks.figures import summarise
from benchmarks.result import Result, Table

if TYPE_CHECKING:
    from benchmarks.harness import Effort

__all__ = ["measure"]

# The hook as users get it, compiled where built, but without an export; processor time of the
# best of seven rounds, garbage collection included.
_TABLE: Final = """\
import gc, json, sys, time
from opentelemetry.sdk.trace import TracerProvider
from otel_ext._accel import load_speed
from otel_ext.inflight.settings import InflightSettings
from otel_ext.inflight.owners import TaskOwner
from otel_ext.inflight.table import Entry, InflightTable, span_key
from otel_ext.processors import lifecycle
from otel_ext.record.capture import capture_start
from otel_ext.runtime.process import incarnation
class Nowhere:
    never_starts_spans = never_waits = True
    export = staticmethod(id)
    force_flush = shutdown = staticmethod(bool)
Processor = lifecycle.LifecycleSpanProcessor
plain = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
attributes = {"http.method": "GET", "http.route": "/orders", "id": 7, "n": 1}
count = int(sys.argv[2])
spans = [plain.start_span("GET /orders", attributes=attributes) for _ in range(count + 1)]
some = spans[:-1]
gc.freeze()
process = incarnation.current().process_for(None)
keys = [span_key(span.get_span_context()) for span in some]
def per_span(do):
    gc.collect()
    began = time.thread_time()
    do()
    return (time.thread_time() - began) / len(some) * 1e6
def hook(add, max_spans):
    if load_speed() is not None:
        load_speed().configure_hooks(
            begin=Processor.begin_span, end=Processor.end_span, add=add,
            entry_type=Entry, owner_type=TaskOwner, monotonic_ns=time.monotonic_ns,
        )
    processor = Processor(Nowhere(), inflight=InflightSettings(max_open_spans=max_spans))
    processor.tracker.begin = lambda: True
    lifecycle.begin_span(processor, spans[-1])
    assert processor._fast_path is not None, "the hook is not compiled"
    cost = per_span(lambda: [lifecycle.begin_span(processor, span) for span in some])
    assert len(processor.tracker.table) == (len(some) + 1 if max_spans else 0)
    return cost
hooks, without, adds = [], [], []
for _ in range(7):
    hooks.append(hook(InflightTable.add, 100_000))
    without.append(hook("".format, 0))
    records = [capture_start(span, process, n) for n, span in enumerate(some)]
    add = InflightTable().add
    adds.append(per_span(lambda: [add(*one) for one in zip(records, some, keys)]))
print(json.dumps({
    "the hook, without an export": min(hooks), "of it the table": min(hooks) - min(without),
    "the table in Python": min(adds),
}))
"""
# Within a turn of this thread: what others do in their turns is not our cost. The first start
# of a turn finds the processor's caches full of the others' data, so it is apart.
_BUSY: Final = """\
import json, os, sys, threading, time
import otel_ext
from opentelemetry import trace
handle = otel_ext.configure(output=sys.argv[1], console="off")
tracer = trace.get_tracer("busy")
stop = False
def busy():
    n = 0
    while not stop:
        n += 1
threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
tracer.start_span("warm").end()
for thread in threads:
    thread.start()
took = []
STARTS = 5
real = handle.processor.on_start
def timed(span, parent_context=None):
    began = time.perf_counter_ns()
    real(span, parent_context)
    took.append(time.perf_counter_ns() - began)
# The SDK asks its processor for the method at each span.
handle.processor.on_start = timed
for number in range(int(sys.argv[2])):
    for _ in range(STARTS):
        tracer.start_span("busy", attributes={"a": 1, "b": "text"}).end()
    time.sleep(0.0005)
stop = True
def at(values, share):
    return sorted(values)[int(len(values) * share)] / 1000
running = [one for n, one in enumerate(took) if n % STARTS]
print(json.dumps({
    "the hook beside four busy threads: p50": at(running, 0.5),
    "the hook beside four busy threads: p99": at(running, 0.99),
    "the first start of a turn: p99": at(took[::STARTS], 0.99),
}))
sys.stdout.flush()
os._exit(0)
"""
# Alone, the best of many rounds, without the time of the loop itself.
_APPEND: Final = """\
import json, sys, threading, time
from pathlib import Path
from otel_ext.journal.write.journal import Journal
from otel_ext.runtime.worker import shared_worker
journal = Journal(Path(sys.argv[1]), worker=shared_worker())
line = b'{"x":"' + b"y" * 390 + b'"}\\n'
assert journal.append(line)
clock = time.perf_counter_ns
best = 1e9
for _ in range(200):
    t0 = clock()
    for _ in range(200):
        pass
    t1 = clock()
    for _ in range(200):
        journal.append(line)
    best = min(best, (clock() - t1 - (t1 - t0)) / 200)
    time.sleep(0.001)
stop = []
def busy():
    number = 0
    while not stop:
        number += 1
threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
times = []
for _ in range(int(sys.argv[2])):
    for _ in range(50):
        t0 = clock()
        assert journal.append(line)
        times.append(clock() - t0)
    time.sleep(0.0005)
stop.append(True)
for thread in threads:
    thread.join()
assert journal.close(10)
times.sort()
print(json.dumps({
    "an append": best / 1e3,
    "an append beside four busy threads: p50": times[len(times) // 2] / 1e3,
    "an append beside four busy threads: p99": times[int(len(times) * 0.99)] / 1e3,
}))
"""
_KEYS: Final = {
    "of it the table": "the table, µs",
    "the hook beside four busy threads: p99": "the hook beside busy threads: p99, µs",
    "an append": "an append, µs",
    "an append beside four busy threads: p99": "an append beside busy threads: p99, µs",
}


def measure(effort: Effort) -> Result:
    """Run each program several times, each time in a fresh process."""
    result = Result(
        "hot_path",
        "Within the start of a span",
        "What our processor does while a span starts, in microseconds: the share of the table"
        " of open spans, without an export, as processor time; the whole hook beside four busy"
        " threads, and the append of an encoded record of 400 bytes, as wall time. Median and"
        " quartiles over fresh processes.",
    )
    sizes = {
        _TABLE: effort.pick(full=20_000, quick=5_000, tiny=200),
        _BUSY: effort.pick(full=400, quick=60, tiny=10),
        _APPEND: effort.pick(full=200, quick=30, tiny=5),
    }
    found: dict[str, list[float]] = {}
    for _ in range(effort.pick(full=7, quick=2, tiny=1)):
        for program, size in sizes.items():
            with TemporaryDirectory(prefix="otel-ext-bench-") as folder:
                printed = python("-c", program, folder, str(size))
            values = cast("dict[str, float]", json.loads(printed.splitlines()[-1]))
            for what, value in values.items():
                found.setdefault(what, []).append(value)
    rows = [[what, summarise(values).show()] for what, values in found.items()]
    result.tables.append(Table("Within the start of a span", ["", "µs"], rows))
    result.figures |= {key: summarise(found[what]) for what, key in _KEYS.items()}
    return result
