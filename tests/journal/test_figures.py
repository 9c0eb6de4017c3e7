"""The time of an append stays within generous limits, since machines are shared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.figures import report_figures
from tests.journal.builders import run

if TYPE_CHECKING:
    from pathlib import Path

MEASURE = """
    import gc, json, sys, threading, time
    from pathlib import Path
    from otel_ext.journal.write.journal import Journal
    from otel_ext.runtime.worker import shared_worker
    from tests.journal.builders import ALONE
    journal = Journal(Path(sys.argv[1]), ALONE, worker=shared_worker())
    line = b'{"x":"' + b"y" * 390 + b'"}\\n'
    assert journal.append(line)
    clock = time.perf_counter_ns
    # Alone: the best of many rounds, without the time of the loop itself.
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
    # Beside four busy threads, at a pace of a few thousand a second.
    stop = []
    def busy():
        number = 0
        while not stop:
            number += 1
    threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    times = []
    taken = True
    for _ in range(200):
        for _ in range(50):
            t0 = clock()
            taken &= journal.append(line)
            times.append(clock() - t0)
        time.sleep(0.0005)
    stop.append(True)
    for thread in threads:
        thread.join()
    times.sort()
    result = {"alone_us": best / 1e3, "taken": taken, "closed": journal.close(10)}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("worst", 1.0)):
        result[name + "_us"] = times[min(int(len(times) * share), len(times) - 1)] / 1e3
    print(json.dumps(result))
"""


def test_what_an_append_costs(tmp_path: Path) -> None:
    """Half a microsecond alone; beside four busy threads 99 of 100 take less than 50 µs."""
    result = json.loads(run(MEASURE, tmp_path))
    report_figures("append", **result)
    assert result["taken"]
    assert result["closed"]
    assert result["alone_us"] < 2.0
    assert result["p99_us"] <= 50.0
