"""What recording costs a program: memory of open spans, time of a start beside busy threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.durability.kit import command, printed_object
from tests.figures import report_figures

if TYPE_CHECKING:
    from pathlib import Path

HUNDRED_THOUSAND = """
    import gc, json
    from pathlib import Path
    from opentelemetry.sdk.trace import TracerProvider
    COUNT = 100_000
    attributes = {"http.method": "GET", "http.route": "/orders", "id": 7, "n": 1}
    def memory():
        gc.collect()
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024
    def start(tracer):
        before = memory()
        cpu = time.thread_time()
        kept = [tracer.start_span("GET /orders", attributes=attributes) for _ in range(COUNT)]
        cpu = time.thread_time() - cpu
        return kept, memory() - before, cpu / COUNT
    if sys.argv[2] == "sdk":
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
    tracer.start_span("warm").end()
    spans, taken, cpu = start(tracer)
    watched = len(otel_ext.open_spans())
    from otel_ext.runtime.counters import COUNTERS
    print(json.dumps({
        "mb": taken / 1e6, "start_us": cpu * 1e6,
        "watched": watched, "dropped": sum(COUNTERS.dropped().values()),
    }))
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_hundred_thousand_open_spans(tmp_path: Path) -> None:
    """The processor takes less than 100 MB for them beyond the SDK's own span objects."""
    sdk, both = (
        cast(
            "dict[str, float]",
            printed_object(command(HUNDRED_THOUSAND, tmp_path / who, who), timeout=85),
        )
        for who in ("sdk", "ours")
    )
    report_figures(
        "100,000 open spans",
        sdk_alone=f"{sdk['mb']:.0f} MB",
        with_ours=f"{both['mb']:.0f} MB",
        ours=f"{both['mb'] - sdk['mb']:.0f} MB",
        start=f"{both['start_us']:.1f} us",
        sdk_start=f"{sdk['start_us']:.1f} us",
        dropped=both["dropped"],
    )
    assert both["watched"] == 100_000
    assert both["mb"] - sdk["mb"] < 100


TABLE = """
    import gc, json
    from opentelemetry.sdk.trace import TracerProvider
    from otel_ext.inflight.settings import InflightSettings
    from otel_ext.inflight.table import InflightTable
    from otel_ext.inflight.owners import TaskOwner
    from otel_ext.inflight.table import Entry, span_key
    from otel_ext.processors import lifecycle
    from otel_ext.record.capture import capture_start
    from otel_ext._accel import load_speed
    from otel_ext.runtime.process import incarnation
    class Nowhere:
        never_starts_spans = never_waits = True
        export = staticmethod(id)
        force_flush = shutdown = staticmethod(bool)
    Processor = lifecycle.LifecycleSpanProcessor
    plain = TracerProvider(shutdown_on_exit=False).get_tracer("plain")
    attributes = {"http.method": "GET", "http.route": "/orders", "id": 7, "n": 1}
    spans = [plain.start_span("GET /orders", attributes=attributes) for _ in range(20_001)]
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
        # The hook as users get it, but without an export, and with `add` as the table's method.
        if load_speed() is not None:
            load_speed().configure_hooks(
                begin=Processor.begin_span, end=Processor.end_span, add=add,
                entry_type=Entry, owner_type=TaskOwner, monotonic_ns=time.monotonic_ns,
            )
        processor = Processor(Nowhere(), inflight=InflightSettings(max_open_spans=max_spans))
        processor.tracker.begin = bool
        lifecycle.begin_span(processor, spans[-1])
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
        "hook_us": min(hooks), "table_us": min(hooks) - min(without), "add_us": min(adds),
        "is_compiled": load_speed() is not None,
    }))
"""


@pytest.mark.slow
def test_the_table_costs_a_start_about_a_microsecond(tmp_path: Path) -> None:
    """Measured in the hook that users get, compiled where built, and for the Python table alone.

    Processor time of the best of seven rounds, garbage collection included.
    """
    cost = cast("dict[str, float]", printed_object(command(TABLE, tmp_path)))
    report_figures(
        "the table",
        hook=f"{cost['hook_us']:.2f} us",
        of_it_the_table=f"{cost['table_us']:.2f} us",
        the_table_in_python=f"{cost['add_us']:.2f} us",
        compiled=cost["is_compiled"],
    )
    # The promise is 1 microsecond; where others share the processor, all takes twice as long.
    assert cost["add_us"] < 3
    assert not cost["is_compiled"] or cost["table_us"] < 3


BESIDE_BUSY_THREADS = """
    import json
    stop = False
    def busy():
        n = 0
        while not stop:
            n += 1
    threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
    tracer.start_span("warm").end()
    for thread in threads:
        thread.start()
    processor = handle.processor
    took, whole = [], []
    STARTS = 5
    def start():
        # Within a turn of this thread: what other threads do in their turns is not our cost.
        began = time.perf_counter_ns()
        span = tracer.start_span("busy", attributes={"a": 1, "b": "text"})
        whole.append(time.perf_counter_ns() - began)
        return span
    real = processor.on_start
    def timed(span, parent_context=None):
        began = time.perf_counter_ns()
        real(span, parent_context)
        took.append(time.perf_counter_ns() - began)
    # The SDK asks its processor for the method at each span.
    processor.on_start = timed
    for number in range(400):
        for _ in range(STARTS):
            start().end()
        time.sleep(0.0005)
    stop = True
    def at(values, share):
        return sorted(values)[int(len(values) * share)] / 1000
    # The first start of a turn finds the processor's caches full of the others' data.
    first = took[::STARTS]
    running = [one for n, one in enumerate(took) if n % STARTS]
    print(json.dumps({
        "p50_us": at(running, 0.5), "p99_us": at(running, 0.99), "p999_us": at(running, 0.999),
        "first_p50_us": at(first, 0.5), "first_p99_us": at(first, 0.99),
        "all_p99_us": at(took, 0.99), "start_span_p99_us": at(whole, 0.99),
        "starts": len(took),
    }))
    sys.stdout.flush()
    os._exit(0)
"""


TRIES = 6


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_start_beside_four_busy_threads(tmp_path: Path) -> None:
    """A start does not wait for the interpreter lock: its p99 is at most 50 microseconds.

    Wall time of the hook, in the best of a few rounds, since other work on the machine only
    adds to a latency. The first start after other threads had the processor is judged
    apart; a wait for the lock would cost any start 5,000 microseconds and more.
    """
    rounds: list[dict[str, float]] = []
    for number in range(TRIES):
        cost = printed_object(command(BESIDE_BUSY_THREADS, tmp_path / str(number)))
        rounds.append(cast("dict[str, float]", cost))
        assert rounds[-1]["starts"] >= 2_000
        if rounds[-1]["p99_us"] <= 50:
            break
    best = min(rounds, key=lambda one: one["p99_us"])
    report_figures("a start beside four busy threads", rounds=len(rounds), **best)
    assert best["p99_us"] <= 50
    assert best["first_p99_us"] < 1_000
