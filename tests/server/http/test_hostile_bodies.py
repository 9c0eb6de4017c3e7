"""Hostile bodies for the command `otel-ext serve`, several at once: its memory stays bounded."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.hostile_bodies import hostile_bodies
from tests.figures import report_figures
from tests.programs import free_port
from tests.server.http.running import command_started
from tests.threads import numbered_threads

MOST = 256 * 2**20


def most_memory(pid: int) -> int:
    """Return the most memory that a process has had so far, in bytes."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert match is not None
    return int(match[1]) * 1024


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for task in tasks for one in task.read_text("ascii").split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Of the server and of the process that stores; meanwhile another client is answered."""
    attacks = hostile_bodies()
    statuses: set[int] = set()
    delays: list[float] = []
    with command_started(tmp_path / "records", (free_port(), 0, 0)) as (running, process):
        at_rest = most_memory(process.pid)

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
        peak = most_memory(process.pid)
        storing = max(map(most_memory, children_of(process.pid)), default=0)
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
