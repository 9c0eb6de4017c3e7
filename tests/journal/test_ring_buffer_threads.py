"""The ring buffer under everything at once: threads, signals, finalizers, and the worker."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otel_ext.runtime.counters import COUNTERS
from tests.figures import report_figures
from tests.journal.builders import KIB, line, make_ring
from tests.programs import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.journal.write.ring_buffer import RingBuffer

THREADS = 8
SIGNALS = 50


class Hammer:
    """Appends numbered lines from everywhere and records which were taken."""

    def __init__(self, ring: RingBuffer) -> None:
        self.ring = ring
        self.stop = threading.Event()
        self.taken: dict[str, list[int]] = {}
        self.refused = 0
        self.made: list[str] = []
        self.collected: list[str] = []

    def append(self, who: str, number: int) -> None:
        """Append one line and record whether it was taken."""
        if self.ring.append(line(number, who, name="n" * (number % 300))):
            self.taken.setdefault(who, []).append(number)
        else:
            self.refused += 1

    def work(self, who: str) -> None:
        """Append without a pause, leaving garbage whose finalizers append, too."""
        number = 0
        while not self.stop.is_set():
            number += 1
            self.append(who, number)
            if number % 50 == 0:
                Garbage(self, f"gc-{who}", number)

    def is_clean(self) -> bool:
        """Whether all finalizers have run; another thread of this process may be running some."""
        gc.collect()
        return len(self.collected) == len(self.made)

    def on_signal(self, _number: int, _frame: object) -> None:
        """Append while the main thread is anywhere in its work."""
        self.append("signal", len(self.taken.setdefault("signal", [])) + self.refused + 1)


class Garbage:
    """An object in a cycle whose finalizer appends."""

    def __init__(self, hammer: Hammer, who: str, number: int) -> None:
        self.me = self
        self.hammer = hammer
        self.who = who
        self.number = number
        hammer.made.append(who)

    def __del__(self) -> None:
        self.hammer.append(self.who, self.number)
        self.hammer.collected.append(self.who)


def strike(hammer: Hammer, seconds: float) -> bytes:
    """Run everything for so long, and until the handler ran often; return what was drained."""
    out: list[bytes] = []

    def write(lines: memoryview) -> int:
        out.append(bytes(lines))
        return len(lines)

    def drain() -> None:
        while not hammer.stop.wait(0.01):
            hammer.ring.drain(write)

    threads = [threading.Thread(target=hammer.work, args=(f"t{n}",)) for n in range(THREADS)]
    threads.append(threading.Thread(target=drain))
    before = signal.signal(signal.SIGALRM, hammer.on_signal)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end or len(hammer.taken.get("signal", ())) < SIGNALS:
            number += 1
            hammer.append("main", number)
    finally:
        hammer.stop.set()
        for thread in threads:
            thread.join()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        sys.setswitchinterval(interval)
    wait_until(hammer.is_clean, "all finalizers have run")
    hammer.ring.seal("closed")
    assert hammer.ring.drain(write)
    return b"".join(out)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("seconds", [0.8, pytest.param(3.0, marks=pytest.mark.slow)])
def test_nothing_is_lost_duplicated_or_torn(tmp_path: Path, seconds: float) -> None:
    """Each line taken from threads, signal handlers and finalizers is drained once, whole."""
    dropped = COUNTERS.value("dropped.queue_full")
    hammer = Hammer(make_ring(tmp_path, size=512 * KIB))
    out = Counter(strike(hammer, seconds).splitlines(keepends=True))
    expected = Counter(
        line(number, who, name="n" * (number % 300))
        for who, numbers in hammer.taken.items()
        for number in numbers
    )
    assert out == expected
    assert COUNTERS.value("dropped.queue_full") - dropped == hammer.refused
    assert any(who.startswith("gc-") for who in hammer.taken), "finalizers ran"
    report_figures(
        "hammered ring buffer",
        taken=sum(out.values()),
        refused=hammer.refused,
        cores=os.cpu_count(),
    )


def test_each_thread_finds_its_lines_in_its_own_order(tmp_path: Path) -> None:
    """The lines of one thread keep their order, so a start is before its end."""
    hammer = Hammer(make_ring(tmp_path, size=8 * 1024 * KIB))
    out: list[bytes] = []

    def work(who: str) -> None:
        for number in range(1, 2_000):
            hammer.append(who, number)
            if number % 100 == 0:
                time.sleep(0.001)

    def write(lines: memoryview) -> int:
        out.append(bytes(lines))
        return len(lines)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        hammer.ring.drain(write)
        time.sleep(0.002)
    hammer.ring.drain(write)
    lines = b"".join(out).splitlines(keepends=True)
    assert hammer.refused == 0
    for who, numbers in hammer.taken.items():
        mark = f'"process":"{who}"'.encode()
        expected = [line(number, who, name="n" * (number % 300)) for number in numbers]
        assert [one for one in lines if mark in one] == expected
