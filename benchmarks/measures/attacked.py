"""Measures the server while others send it bodies that would take much memory or time."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Final

from benchmarks.figures import percentile, summarise
from benchmarks.hostile_bodies import hostile_bodies
from benchmarks.result import Result, Table
from benchmarks.viewer_server import health, viewer_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Effort
    from benchmarks.hostile_bodies import HostileBody

__all__ = ["measure"]

_CLIENTS: Final = 6


def measure(effort: Effort) -> Result:
    """Send bodies of each kind from several clients at once, then of all kinds."""
    seconds = effort.pick(full=8, quick=2, tiny=1)
    result = Result(
        "attacked",
        "The server under attack",
        f"`otel-ext serve`; {_CLIENTS} clients send bodies of a kilobyte or two, which are up to"
        f" 24 MB when decompressed, one after another for {seconds} s. /healthz is asked"
        " meanwhile, 20 times a second. Memory is the most that the server, or the process that"
        " stores, has had so far.",
    )
    bodies = hostile_bodies()
    each = [(body.what, [body]) for body in bodies[:: effort.pick(full=1, quick=1, tiny=4)]]
    rows: list[list[str]] = []
    slowest = 0.0
    with (
        TemporaryDirectory(prefix="otel-ext-bench-") as name,
        viewer_server(Path(name) / "records", Path(name) / "server.log") as server,
        # Forked clients would have the sockets of this process.
        ProcessPoolExecutor(_CLIENTS, multiprocessing.get_context("spawn")) as clients,
    ):
        for what, chosen in [*each, ("all of these", bodies)]:
            with health(server.port) as answers:
                sent = [
                    clients.submit(_attack, server.port, chosen[n % len(chosen) :], seconds)
                    for n in range(_CLIENTS)
                ]
                statuses = sum((one.result() for one in sent), Counter[int]())
            delay = percentile(answers, 0.99)
            slowest = max(slowest, delay)
            memory = server.most_memory() / 2**20
            counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
            rows.append([what, counts, f"{delay:.1f}", f"{memory:.0f}"])
        result.figures["memory, MiB"] = summarise([server.most_memory() / 2**20])
    result.figures["healthz p99, ms"] = summarise([slowest])
    columns = ["very many", "answers", "healthz, p99, ms", "memory, MiB"]
    result.tables.append(Table("Hostile bodies", columns, rows))
    return result


def _attack(port: int, bodies: Sequence[HostileBody], seconds: int) -> Counter[int]:
    """Send bodies in turn; return how often each status was answered."""
    statuses = Counter[int]()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    until = monotonic() + seconds
    while monotonic() < until:
        for body in bodies:
            connection.request("POST", body.path, body.data, body.headers)
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
    connection.close()
    return statuses
