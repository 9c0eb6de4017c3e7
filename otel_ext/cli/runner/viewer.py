"""Starts the viewer beside a program, for `otel-ext run --view`."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_ext.runtime.process.own_program import own_command
from otel_ext.server.ports import VIEWER_PORT
from otel_ext.terminal.output import warn, write_error
from otel_ext.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["WHILE_STDIN_OPEN", "viewer_beside"]

WHILE_STDIN_OPEN: Final = "--while-stdin-open"
"""The option with which `otel-ext serve` also stops when its standard input ends."""

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 15.0
_ADDRESS: Final = "viewer "


@contextmanager
def viewer_beside(folder: Path, *, stays: bool) -> Generator[None]:
    """Serve a folder for the block, and say where.

    A viewer that cannot be started is reported; the program runs without it. It also ends when
    this process is killed.

    Args:
        folder: The folder of records.
        stays: Whether the viewer goes on after the block, until Ctrl-C.
    """
    process = _start(folder)
    if process is None:
        yield
        return
    try:
        address = _address(process)
        if address:
            write_error(f"otel-ext: watch it at {address}\n")
        yield
        if address and stays:
            write_error(f"otel-ext: the viewer goes on at {address} until Ctrl-C\n")
            with suppress(KeyboardInterrupt):
                process.wait()
    finally:
        _stop(process)


def _start(folder: Path) -> subprocess.Popen[bytes] | None:
    words = ["serve", str(folder), "--otlp-http-port", "0", "--otlp-grpc-port", "0"]
    words += ["--port", str(_port()), WHILE_STDIN_OPEN]
    try:
        # In a session of its own: Ctrl-C is for the program. No signal tells it that this process
        # is gone; the end of its standard input does.
        return subprocess.Popen(  # noqa: S603 - our own program
            own_command("otel_ext.cli.main", words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        warn(f"run: the viewer cannot be started: {error}")
        return None


def _port() -> int:
    """Return the usual port if it is free, else any that is."""
    for port in (VIEWER_PORT, 0):
        with suppress(OSError), socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return int(listener.getsockname()[1])
    return VIEWER_PORT


def _address(process: subprocess.Popen[bytes]) -> str:
    """Return the address that the viewer prints; empty if it ends without one."""
    deadline = monotonic() + _START_SECONDS
    output = b""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while monotonic() < deadline:
        if not select.select([process.stdout], [], [], deadline - monotonic())[0]:
            break
        part = os.read(process.stdout.fileno(), 4_096)
        output += part
        for line in output.decode("utf-8", "replace").splitlines(keepends=True):
            if line.startswith(_ADDRESS) and line.endswith("\n"):
                return printable(line.removeprefix(_ADDRESS).strip())
        if not part:
            break
    warn("run: the viewer has not started; the program runs without it")
    return ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let the viewer store what is left, and end."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
