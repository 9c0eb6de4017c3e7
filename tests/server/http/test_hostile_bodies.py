"""Hostile bodies for the command `otel-ext serve`, several at once: its memory stays bounded."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from benchmarks.hostile_bodies import hostile_bodies
from benchmarks.servers import children_of, memory_bytes
from tests.figures import report_figures
from tests.programs import free_port
from tests.server.http.running import command_started
from tests.threads import numbered_threads

MOST = 256 * 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Of the server and of the process that stores; meanwhile another client is answered."""
    attacks = hostile_bodies()
    statuses: set[int] = set()
    delays: list[float] = []
    with command_started(tmp_path / "records", (free_port(), 0, 0)) as (running, process):
        at_rest = memory_bytes(process.pid)

        def attack(worker: int) -> None:
            with httpx.Client(base_url=running.ui, timeout=60) as client:
                if worker == 0:
                    for _ in range(50):
                        begin = time.perf_counter()
                        assert client.get("/healthz").status_code == 200
                        delays.append(time.perf_counter() - begin)
                        time.sleep(0.02)
                    return
                for index in range(len(attacks)):
                    one = attacks[(index + worker) % len(attacks)]
                    answer = client.post(one.path, content=one.data, headers=one.headers)
                    statuses.add(answer.status_code)

        numbered_threads(7, attack)
        peak = memory_bytes(process.pid)
        storing = max(map(memory_bytes, children_of(process.pid)), default=0)
    assert statuses <= {200, 400, 503}
    assert 200 in statuses
    assert peak <= MOST
    assert storing <= MOST
    report_figures(
        "otel-ext serve under hostile bodies",
        memory_MiB=peak // 2**20,
        storing_MiB=storing // 2**20,
        at_rest_MiB=at_rest // 2**20,
        health_slowest_ms=round(max(delays) * 1000),
    )
