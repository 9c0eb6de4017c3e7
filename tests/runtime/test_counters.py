"""Counters advance from any thread, signal handler or finalizer."""

from __future__ import annotations

import signal
import threading

from otel_ext.runtime.counters import Counters


def test_counters_begin_at_nothing() -> None:
    """A counter that never moved is 0 and not listed."""
    counters = Counters()
    assert counters.value("accepted") == 0
    assert counters.snapshot() == {}
    assert counters.dropped() == {}


def test_amounts_and_snapshot() -> None:
    """Amounts add up; a snapshot is sorted and does not change later."""
    counters = Counters()
    counters.add("b", 3)
    counters.add("a")
    counters.add("dropped.full", 0)
    seen = counters.snapshot()
    counters.add("a")
    assert seen == {"a": 1, "b": 3, "dropped.full": 0}
    assert list(seen) == sorted(seen)


def test_drops_by_reason() -> None:
    """`dropped` returns the counters under `dropped.` by their reason."""
    counters = Counters()
    counters.add("dropped.closed", 2)
    counters.add("droppedlike")
    assert counters.dropped() == {"closed": 2}


def test_threads_and_signals_lose_no_count() -> None:
    """Eight threads and a signal handler count into one name, and the sum is right."""
    counters = Counters()
    signals = [0]

    def on_alarm(_number: int, _frame: object) -> None:
        signals[0] += 1
        counters.add("n")

    def work() -> None:
        for _ in range(20_000):
            counters.add("n")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert counters.value("n") == 9 * 20_000 + signals[0]


def test_reset_sets_every_counter_to_0() -> None:
    """A forked child's counters begin at 0."""
    counters = Counters()
    counters.add("n", 5)
    counters.reset()
    assert counters.snapshot() == {}
