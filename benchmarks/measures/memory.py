"""Measures memory: for each open span, for each record that waits, and after a million spans."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.child import python
from benchmarks.peers import NullExporter, Rig, make_rig
from benchmarks.result import Chart, Result, Table
from benchmarks.shapes import FOUR
from otel_ext.journal.write.buffers import QueueBuffer
from otel_ext.record.codec import encode_line
from otel_ext.record.model import CallSite, Process, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Effort

__all__ = ["measure"]

_PEERS: Final = ("no processor", "Batch + null exporter", "otel-ext mapped")
_STATUS: Final = Path("/proc/self/status")


def measure(effort: Effort) -> Result:
    """Measure each case in a fresh process."""
    result = Result(
        "memory",
        "Memory",
        "Anonymous memory of a fresh process (`RssAnon`; the ring buffer is a mapped file of 8"
        " MiB and counts as cache). Spans have four attributes. 'Open' is with all spans open"
        " at once; 'waiting' is in the queue of a destination that accepts nothing.",
    )
    open_spans = effort.pick(full=100_000, quick=20_000, tiny=200)
    passed = effort.pick(full=1_000_000, quick=20_000, tiny=400)
    jobs = [("open", peer, open_spans) for peer in _PEERS]
    jobs += [("waiting", peer, open_spans) for peer in _PEERS[1:]]
    jobs += [("passed", peer, passed) for peer in _PEERS]
    with ThreadPoolExecutor(2) as pool:  # a process beside it does not change its memory
        taken = dict(zip(jobs, pool.map(_probe, jobs), strict=True))
    bare = taken["open", _PEERS[0], open_spans]
    rows = [
        [
            peer,
            f"{taken['open', peer, open_spans] / open_spans:,.0f}",
            f"{(taken['open', peer, open_spans] - bare) / open_spans:,.0f}",
            f"{taken['waiting', peer, open_spans] / open_spans:,.0f}" if peer != _PEERS[0] else "",
            f"{taken['passed', peer, passed] / 2**20:,.1f}",
        ]
        for peer in _PEERS
    ]
    columns = ["", "an open span, bytes", "beyond the span itself", "a span or record that waits"]
    columns.append(f"growth over {passed:,} spans, MiB")
    result.tables.append(Table("Memory", columns, rows))
    series = {str(peer): [taken["open", peer, open_spans] / open_spans] for peer in _PEERS}
    result.charts.append(Chart("memory", "One open span", "bytes", [""], series))
    return result


def _probe(job: tuple[str, str, int]) -> float:
    what, peer, count = job
    printed = python("-m", "benchmarks.measures.memory", what, peer, str(count))
    return float(printed.splitlines()[-1])


def _resident() -> int:
    """Return the process's anonymous memory in bytes."""
    gc.collect()
    for line in _STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1_024
    raise RuntimeError("this system does not report RssAnon")


def _rig(peer: str) -> Rig:
    rig = make_rig(peer)
    if rig is None:
        raise RuntimeError(f"what {peer} needs is not installed")
    _pass_spans(rig, 2_000)  # so that one-time allocations do not count
    return rig


def _pass_spans(rig: Rig, count: int) -> None:
    for number in range(count):
        with rig.tracer.start_as_current_span("GET /orders/{id}", attributes=FOUR):
            pass
        if number % 2_000 == 0:
            rig.drain()
    rig.drain()


def _open(peer: str, count: int) -> int:
    rig = _rig(peer)
    before = _resident()
    spans = [rig.tracer.start_span("GET /orders/{id}", attributes=FOUR) for _ in range(count)]
    rig.drain()
    taken = _resident() - before
    for span in spans:
        span.end()
    rig.close()
    return taken


def _passed(peer: str, count: int) -> int:
    rig = _rig(peer)
    _pass_spans(rig, count // 10)
    before = _resident()
    _pass_spans(rig, count)
    taken = _resident() - before
    rig.close()
    return taken


def _waiting(peer: str, count: int) -> int:
    """Fill the SDK's queue with spans, or ours with encoded records; return the bytes taken."""
    if not peer.startswith("otel-ext"):
        processor = BatchSpanProcessor(
            NullExporter(),
            max_queue_size=2 * count,
            max_export_batch_size=2 * count,
            schedule_delay_millis=3_600_000,
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        tracer = provider.get_tracer("benchmark")
        before = _resident()
        for _ in range(count):
            tracer.start_span("GET /orders/{id}", attributes=FOUR).end()
        return _resident() - before
    queue = QueueBuffer(1 << 40)
    process = Process("b00tb00t-4711-123456-cafe0001")
    call_site = CallSite("shop/orders.py", 42, "Orders.store")
    before = _resident()
    for number in range(count):
        record = Record(
            "span", "start", "GET /orders/{id}", number, number, process, call_site, FOUR
        )
        queue.append(encode_line(record._replace(trace_id="ab" * 16, span_id="cd" * 8)))
    return _resident() - before


_PROBES: Final[dict[str, Callable[[str, int], int]]] = {
    "open": _open,
    "waiting": _waiting,
    "passed": _passed,
}


def main() -> int:
    """Run the probe named on the command line, in this process, and print the bytes."""
    what, peer, count = sys.argv[1:]
    sys.stdout.write(f"{_PROBES[what](peer, int(count))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
