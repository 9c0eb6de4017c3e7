"""`Served`: a folder of records behind a real `otel-ext serve`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from tests.programs import (
    OTEL_EXT,
    environment,
    free_port,
    is_listening,
    python,
    started,
    wait_until,
    write_program,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Served"]


class Served:
    """A folder of records, which a server shows on ports that stay the same.

    Args:
        cwd: A folder of the test; records are in `traces` there.

    Attributes:
        folder: The folder of records.
        url: The address of the viewer.
        http_port: The port for OTLP over HTTP.
        grpc_port: The port for OTLP over gRPC.
    """

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self.folder = cwd / "traces"
        self._port = free_port()
        self.http_port = free_port()
        self.grpc_port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    @contextmanager
    def running(self, *words: str, **variables: str) -> Generator[subprocess.Popen[bytes]]:
        """Run the server until the end of the block, with more arguments and variables."""
        command = [
            *(OTEL_EXT, "serve", str(self.folder), "--port", str(self._port)),
            *("--otlp-http-port", str(self.http_port), "--otlp-grpc-port", str(self.grpc_port)),
            *words,
        ]
        output = self._cwd / "serve.txt"
        env = environment(**variables)
        with started(command, cwd=self._cwd, env=env, output=output) as process:
            wait_until(lambda: is_listening(self._port) or process.poll() is not None, "it listens")
            assert process.poll() is None, output.read_text("utf-8")
            yield process

    @contextmanager
    def program(
        self, text: str, *words: str, name: str = "app.py", **variables: str
    ) -> Generator[subprocess.Popen[bytes]]:
        """Run a Python program that records into the folder, until the end of the block."""
        path = write_program(self._cwd, text, name)
        env = environment(OTEL_EXT_OUTPUT=str(self.folder), **variables)
        output = self._cwd / f"{name}.txt"
        with started(python(path, *words), cwd=self._cwd, env=env, output=output) as process:
            yield process

    def run(self, text: str, *words: str, name: str = "app.py", **variables: str) -> None:
        """Run such a program to its end."""
        with self.program(text, *words, name=name, **variables) as process:
            code = process.wait(60)
        assert code == 0, (self._cwd / f"{name}.txt").read_text("utf-8")

    def get(self, path: str) -> Any:  # noqa: ANN401 - as json.loads
        """Return an answer of the API."""
        reply = requests.get(f"{self.url}/api/v1/{path}", timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def has_spans(self, count: int) -> None:
        """Wait until the store has this many spans."""
        wait_until(lambda: self.get("info")["spans"] == count, f"{count} spans are stored", 120)
