"""Runs `otel-ext serve`, and watches how soon it answers that it is alive."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.servers import children_of, cpu_seconds, free_ports, memory_bytes, serve

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["ViewerServer", "health", "viewer_server"]

_EVERY_SECONDS: Final = 0.05
_STORED: Final = "otel_ext_server_stored_records_total "


class ViewerServer(NamedTuple):
    """A running server.

    Attributes:
        pid: Its process.
        port: The port of the viewer.
        otlp_port: The port of OTLP over HTTP.
    """

    pid: int
    port: int
    otlp_port: int

    @property
    def address(self) -> str:
        """The address of the viewer."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Return the processor time of the server and of the process that stores."""
        return sum(map(cpu_seconds, self._pids()))

    def most_memory(self) -> int:
        """Return the most bytes that the server, or the process that stores, has had."""
        return max(map(memory_bytes, self._pids()))

    def _pids(self) -> list[int]:
        return [self.pid, *children_of(self.pid)]

    def stored_records(self) -> int:
        """Return how many records it has stored."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        counts = [line.rpartition(" ")[2] for line in lines if line.startswith(_STORED)]
        return int(counts[0]) if counts else 0


@contextmanager
def viewer_server(folder: Path, log: Path) -> Generator[ViewerServer]:
    """Serve a folder for the block.

    Args:
        folder: The folder of records.
        log: Gets what the server prints.
    """
    port, otlp_port = free_ports(2)
    ports = ["--port", str(port), "--otlp-http-port", str(otlp_port), "--otlp-grpc-port", "0"]
    command = [sys.executable, "-m", "otel_ext", "serve", *ports, str(folder)]
    with serve(command, port, log) as server:
        yield ViewerServer(server.pid, port, otlp_port)


@contextmanager
def health(port: int) -> Generator[list[float]]:
    """Ask again and again within the block whether a server is alive.

    Args:
        port: Its port.

    Yields:
        A list that gets the milliseconds of each answer.
    """
    times: list[float] = []
    stop = Event()

    def ask() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        while not stop.wait(_EVERY_SECONDS):
            began = perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            times.append((perf_counter() - began) * 1_000)
        connection.close()

    thread = Thread(target=ask, name="health")
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join()
