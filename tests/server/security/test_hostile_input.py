"""Hostile clients, all at once: the server's memory stays bounded, and others are answered."""

from __future__ import annotations

import re
import time
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.servers import memory_bytes
from otel_ext.runtime.counters import Counters
from otel_ext.server.security.bodies import BodyReader
from tests.figures import report_figures
from tests.programs import python, started, wait_until, write_program
from tests.server.security.served import Server
from tests.threads import numbered_threads

if TYPE_CHECKING:
    from collections.abc import Generator

# In a process of its own, whose memory is the server's.
PROGRAM = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from otel_ext.runtime.counters import Counters
from otel_ext.server.security.access import Access
from otel_ext.server.security.answers import exception_handlers
from otel_ext.server.security.bodies import BodyReader
from otel_ext.server.security.serving import secured, server_config

counters = Counters()
bodies = BodyReader(counters)

async def take(request):
    async with bodies.read(request.scope, request.receive, {"application/json"}) as body:
        return JSONResponse({"size": len(body.data)})

async def health(request):
    return JSONResponse({})

routes = [Route("/take", take, methods=["POST"]), Route("/health", health)]
app = Starlette(routes=routes, exception_handlers=exception_handlers())
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
app = secured(app, Access.listening("127.0.0.1", port), counters)
print(f"port {port}", flush=True)
uvicorn.Server(server_config(app, counters)).run(sockets=[listener])
"""
MOST = 256 * 2**20
JSON = "Content-Type: application/json"


@contextmanager
def program(folder: Path) -> Generator[tuple[Server, int]]:
    """Run the server as a program; yields it and its process id."""
    path = write_program(folder, PROGRAM)
    with started(python(path), cwd=folder) as process:
        output = folder / "output.txt"

        def port() -> int:
            match = re.match(r"port (\d+)\n", output.read_text("utf-8"))
            return int(match[1]) if match else 0

        wait_until(lambda: port() or process.poll() is not None, "the server listens")
        assert process.poll() is None, output.read_text("utf-8")
        yield Server(port(), Counters(), BodyReader(Counters())), process.pid
        assert process.poll() is None, output.read_text("utf-8")


def bomb(inflated: int) -> bytes:
    """Return gzip data that inflates to so many zeros, a thousand times as long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    return b"".join([*(packer.compress(zeros) for _ in range(inflated // 2**20)), packer.flush()])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Bombs, bodies and headers without an end; meanwhile another client is answered."""
    packed = bomb(128 * 2**20)
    statuses: list[int] = []
    delays: list[float] = []
    with program(tmp_path) as (server, pid), ExitStack() as held:
        gzipped = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
        bombs = server.request("POST /take", JSON, *gzipped, "Connection: close") + packed
        whole = server.request("POST /take", JSON, f"Content-Length: {8 * 2**20}")
        at_rest = memory_bytes(pid)

        def attack(number: int) -> None:
            if number == 0:
                for _ in range(100):
                    begin = time.perf_counter()
                    assert server.ask("GET /health").status == 200
                    delays.append(time.perf_counter() - begin)
                return
            statuses.append(server.send(bombs).status)
            if number < 20:
                held.enter_context(server.connect()).sendall(whole + bytes(4 * 2**20))
            statuses.append(server.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 2**21).status)
            statuses.append(server.send(bombs).status)

        numbered_threads(40, attack)
        peak = memory_bytes(pid)
    assert set(statuses) <= {413, 431, 503}
    assert peak <= MOST
    slowest = sorted(delays)[-2] * 1000
    report_figures(
        "server under attack",
        memory_MiB=peak // 2**20,
        at_rest_MiB=at_rest // 2**20,
        health_p99_ms=round(slowest),
    )
