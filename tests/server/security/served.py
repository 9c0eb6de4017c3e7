"""Serves an application on a free port of loopback with everything that protects it."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from otel_ext.runtime.counters import Counters
from otel_ext.server.security.access import Access
from otel_ext.server.security.bodies import BodyReader
from otel_ext.server.security.limits import ServerLimits
from otel_ext.server.security.serving import secured, server_config, token_authority
from tests.programs import wait_until
from tests.server.security.routes import PAGES, application

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.types import ASGIApp

__all__ = ["TOKEN", "Answer", "Server", "everything", "one_answer", "served"]

TOKEN: Final = "the-token-of-the-tests-0123456789"  # noqa: S105
# How long, in seconds, a test waits for what must happen.
PATIENT: Final = 30.0


class Answer:
    """An answer as it was on the wire.

    Attributes:
        status: The status; 0 if the connection was closed without an answer.
        headers: All header lines, names in lower case.
        body: What followed them.
    """

    def __init__(self, received: bytes) -> None:
        head, _, self.body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first else 0
        pairs = [line.partition(":") for line in lines]
        self.headers = [(name.lower(), value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str:
        """Return the only header of that name; empty if it is missing."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, self.headers
        return values[0] if values else ""


class Server:
    """A server that runs.

    Attributes:
        port: Its port.
        counters: What it counts.
        bodies: What its routes read bodies with.
        code: Makes the code of a one-time link.
        connections: Returns the sockets of its connections.
    """

    def __init__(self, port: int, counters: Counters, bodies: BodyReader) -> None:
        self.port = port
        self.counters = counters
        self.bodies = bodies
        self.code: Callable[[], str] = str
        self.connections: Callable[[], list[socket.socket]] = list

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENT)

    def request(self, line: str, *headers: str, host: str | None = None, body: str = "") -> bytes:
        """Return a request; `{port}` is replaced, and `host` is the right one by default."""
        lines = [f"{line} HTTP/1.1", f"Host: {host or '127.0.0.1:{port}'}", *headers]
        text = "\r\n".join([*lines, "", body])
        return text.replace("{port}", str(self.port)).encode("latin-1")

    def ask(self, line: str, *headers: str, host: str | None = None, body: str = "") -> Answer:
        """Send a request on a connection of its own, and return the answer."""
        return self.send(self.request(line, "Connection: close", *headers, host=host, body=body))

    def send(self, data: bytes) -> Answer:
        """Send bytes on a connection of their own, and return what comes until it is closed."""
        with self.connect() as connection:
            connection.sendall(data)
            return Answer(everything(connection))


def everything(connection: socket.socket) -> bytes:
    """Return what arrives until the other side closes the connection, in order or not."""
    received = bytearray()
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return bytes(received)


def one_answer(connection: socket.socket) -> Answer:
    """Return the next answer of a connection, which must say its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        assert part, received
        received += part
    length = re.search(rb"content-length: (\d+)", received)
    assert length is not None, received
    while len(received.partition(b"\r\n\r\n")[2]) < int(length[1]):
        received += connection.recv(65_536)
    return Answer(received)


@contextmanager
def served(
    app: ASGIApp | None = None,
    *,
    host: str = "127.0.0.1",
    limits: ServerLimits | None = None,
    token: str | None = None,
    names: tuple[str, ...] = (),
    public_origins: tuple[str, ...] = (),
) -> Generator[Server]:
    """Run a server in a thread.

    Args:
        app: The application; one with a route of each kind by default.
        host: What its access is made for. It listens on 127.0.0.1 in any case.
        limits: Its limits.
        token: See `Access.listening`, as for the others.
        names: Likewise.
        public_origins: Likewise.
    """
    limits = limits or ServerLimits()
    counters = Counters()
    bodies = BodyReader(counters, limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        access = Access.listening(
            host,
            port,
            token=token,
            names=names,
            public_origins=[one.replace("{port}", str(port)) for one in public_origins],
            open_paths=PAGES,
            open_prefixes=["/assets/"],
        )
        authority = token_authority(access)
        guarded = secured(app or application(bodies), access, counters, limits, authority)
        running = uvicorn.Server(server_config(guarded, counters, limits))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: running.started, "the server has started")
            server = Server(port, counters, bodies)
            server.connections = lambda: [
                one.transport.get_extra_info("socket") for one in running.server_state.connections
            ]
            if authority is not None:
                server.code = authority.new_code
            yield server
        finally:
            running.should_exit = True
            thread.join(PATIENT)
