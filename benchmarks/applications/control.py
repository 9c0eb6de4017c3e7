"""Asks a program that is measured to do something beside its work, such as to flush its spans.

A question is one line, a command and its arguments; the answer is JSON. The program answers on a
thread that does nothing else, so that no framework has to be taught the question.
"""

from __future__ import annotations

import json
import socket
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["answer_on", "ask"]

_TIMEOUT_SECONDS: Final = 120.0


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, commands: Mapping[str, Callable[..., object]]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.commands = commands


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        words = self.rfile.readline().decode().split()
        if not words:  # a look whether this port listens
            return
        name, *arguments = words
        answer = cast("_Server", self.server).commands[name](*arguments)
        self.wfile.write(json.dumps(answer).encode())


def answer_on(port: int, commands: Mapping[str, Callable[..., object]]) -> ThreadingTCPServer:
    """Answer questions on a thread, from now to the end of the process.

    Args:
        port: Where to listen, on the loopback interface.
        commands: By name, what is called with the words of the question; it returns what
            JSON can represent.

    Returns:
        The server, which may be shut down before.
    """
    server = _Server(port, commands)
    Thread(target=server.serve_forever, name="control", daemon=True).start()
    return server


def ask(port: int, *words: object) -> object:
    """Ask the program that listens on `port`, and return its answer.

    Args:
        port: Where it listens.
        words: The name of the command, and its arguments.

    Raises:
        RuntimeError: The command has failed; the program's log says why.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
        connection.sendall(" ".join(map(str, words)).encode() + b"\n")
        with connection.makefile("rb") as file:
            answer = file.read()
    if not answer:
        raise RuntimeError(f"the program on port {port} has not answered {words!r}")
    return cast("object", json.loads(answer))
