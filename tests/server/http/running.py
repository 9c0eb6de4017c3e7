"""Runs the whole server on free ports, in a thread or as the command `otel-ext serve`."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from otel_ext.server.api.routes import LINE_TYPES
from otel_ext.server.serving import ServeOptions, ViewerServer
from tests.programs import OTEL_EXT, environment, started, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = ["LINES", "Running", "command_started", "events", "serving"]

LINES = {"content-type": LINE_TYPES[0]}
"""The header of a request with lines of records."""


class Running:
    """A server that runs.

    Attributes:
        server: The server; None if it is another process.
        ui: The address of the viewer.
        otlp: The address for OTLP over HTTP.
        grpc: The address for OTLP over gRPC.
        client: Asks the viewer's port.
    """

    def __init__(self, ui: str, otlp: str, grpc: str, server: ViewerServer | None = None) -> None:
        self.ui, self.otlp, self.grpc, self.server = ui, otlp, grpc, server
        self.client = httpx.Client(base_url=ui, timeout=30)

    def ask(self, path: str, **given: str) -> Any:  # noqa: ANN401 - as json.loads
        """Return the answer to a question."""
        return self.client.get(f"/api/v1{path}", params=given).raise_for_status().json()

    def count(self) -> int:
        """Return how many traces are stored."""
        return int(self.ask("/info")["traces"])


@contextmanager
def serving(folder: Path, **options: Any) -> Generator[Running]:  # noqa: ANN401 - of ServeOptions
    """Run a server in a thread."""
    chosen: dict[str, Any] = {"port": 0, "otlp_http_port": 0, "otlp_grpc_port": 0, **options}
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    made: list[ViewerServer] = []
    ends: list[asyncio.Event] = []

    async def serve() -> None:
        server = ViewerServer(ServeOptions(folder=folder, **chosen))
        await server.start()
        made.append(server)
        ends.append(asyncio.Event())
        ready.set()
        await ends[0].wait()
        await server.stop()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    about = made[0].about
    running = Running(str(about.viewer), str(about.otlp_http), str(about.otlp_grpc), made[0])
    try:
        yield running
    finally:
        running.client.close()
        loop.call_soon_threadsafe(ends[0].set)
        thread.join(30)


@contextmanager
def command_started(
    folder: Path, ports: tuple[int, int, int], **variables: str
) -> Generator[tuple[Running, subprocess.Popen[bytes]]]:
    """Run `otel-ext serve` until the end of the block."""
    output = folder.parent / "serve.txt"
    output.unlink(missing_ok=True)
    names = ("--port", "--otlp-http-port", "--otlp-grpc-port")
    words = [word for name, port in zip(names, ports, strict=True) for word in (name, str(port))]
    env = environment(**variables)
    command = [OTEL_EXT, "serve", str(folder), *words]
    with started(command, cwd=folder.parent, output=output, env=env) as process:
        wait_until(
            lambda: "Ctrl-C ends it" in output.read_text() or process.poll() is not None,
            "the server has started",
        )
        assert process.poll() is None, output.read_text()
        found = re.search(r"viewer +(http://[^/\s]+)", output.read_text())
        assert found is not None
        running = Running(found[1], f"http://127.0.0.1:{ports[1]}", f"127.0.0.1:{ports[2]}")
        try:
            yield running, process
        finally:
            running.client.close()


def events(response: httpx.Response) -> Iterator[tuple[str, int, Any]]:
    """Yield name, id and data of the events of a stream."""
    values: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            values[name] = value
        elif "event" in values:
            yield values["event"], int(values.get("id", 0)), json.loads(values["data"])
            values = {}
