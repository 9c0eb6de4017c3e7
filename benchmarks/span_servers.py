"""Starts other servers that store spans, and counts what they have stored.

They are found by their commands on the path, so that they can be installed by themselves. One
listens on all interfaces: all run in a network namespace that has no other one than loopback.

As a program: `python -m benchmarks.span_servers NAME FOLDER` measures one of them, and prints
the result as JSON; it has to run as root of such a namespace.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Final, NamedTuple

from benchmarks.child import environment
from benchmarks.sending import send
from benchmarks.servers import free_ports, serve

__all__ = ["SERVERS", "Measured", "SpanServer", "measure_server"]

_PROTOBUF: Final = "application/x-protobuf"
_SEND_SECONDS: Final = 60
_STORE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
# Of Linux: to set the flags of an interface, and the flags "up" and "running".
_SET_FLAGS: Final = 0x8914
_UP: Final = 0x41


class SpanServer(NamedTuple):
    """A server that stores spans.

    Attributes:
        name: Its name.
        package: The package that has it.
        command: The name of its command.
        arguments: Those that start it, with `{port}`, `{grpc}` and `{folder}`.
        variables: Of its environment, likewise.
        database: The name of its database in the folder.
        headers: Fields that its requests need.
        spans: How many are sent in a full run.
    """

    name: str
    package: str
    command: str
    arguments: tuple[str, ...]
    variables: tuple[str, ...]
    database: str
    headers: tuple[str, ...]
    spans: int


class Measured(NamedTuple):
    """What was measured of a server.

    Attributes:
        version: Its version.
        sent: How many spans were acknowledged.
        sent_seconds: Until the last one was.
        stored: How many of them were in its database at the end.
        stored_seconds: Until the end: until all were, or the time for this was over.
    """

    version: str
    sent: int
    sent_seconds: float
    stored: int
    stored_seconds: float


SERVERS: Final = (
    SpanServer(
        *("Arize Phoenix", "arize-phoenix", "phoenix", ("serve",)),
        variables=(
            "PHOENIX_HOST=127.0.0.1",
            "PHOENIX_PORT={port}",
            "PHOENIX_GRPC_PORT={grpc}",
            "PHOENIX_WORKING_DIR={folder}",
            "PHOENIX_TELEMETRY_ENABLED=false",
        ),
        database="phoenix.db",
        headers=(),
        spans=5_000,
    ),
    SpanServer(
        *("MLflow", "mlflow", "mlflow"),
        arguments=(
            *("server", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
            *("--backend-store-uri", "sqlite:///{folder}/mlflow.db"),
            *("--default-artifact-root", "{folder}/artifacts"),
        ),
        variables=("MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true"),
        database="mlflow.db",
        headers=("x-mlflow-experiment-id:0",),
        spans=20_000,
    ),
)


def measure_server(server: SpanServer, folder: Path) -> Measured | str:
    """Send the bodies in `FOLDER/bodies` to a server; return why not if that cannot be.

    Args:
        server: The server; it is started for this.
        folder: For its files.
    """
    if shutil.which(server.command) is None:
        return f"the command {server.command} is not installed; make bench-peers does that"
    command = [
        *("unshare", "--map-root-user", "--net", sys.executable, "-m", "benchmarks.span_servers"),
        *(server.name, str(folder)),
    ]
    done = subprocess.run(  # noqa: S603 - our own program
        command, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        return "it cannot be measured here: " + " ".join(done.stderr[-300:].split())
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def _measure(server: SpanServer, folder: Path) -> Measured:
    own = folder / server.command
    own.mkdir(exist_ok=True)
    port, grpc = free_ports(2)
    facts = {"port": port, "grpc": grpc, "folder": own}
    command = [str(shutil.which(server.command)), *server.arguments]
    pairs = (one.format(**facts).split("=", 1) for one in server.variables)
    words = [word.format(**facts) for word in command]
    database = own / server.database
    with serve(words, port, folder / "server.log", dict(pairs), seconds=120):
        before = _stored(database)
        began = perf_counter()
        sent = send(
            f"http://127.0.0.1:{port}/v1/traces",
            _PROTOBUF,
            folder / "bodies",
            _SEND_SECONDS,
            server.headers,
        )
        until = began + _STORE_SECONDS
        while (stored := _stored(database) - before) < sent.records and perf_counter() < until:
            sleep(_POLL_SECONDS)
        took = perf_counter() - began
        return Measured(_version(server), sent.records, sent.seconds, stored, took)


def _stored(database: Path) -> int:
    """Return how many spans a database has."""
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        with closing(connection):
            return int(connection.execute("select count(*) from spans").fetchone()[0])
    return 0


def _version(server: SpanServer) -> str:
    """Return the version that is installed; empty if that cannot be found out."""
    python = Path(str(shutil.which(server.command))).resolve().parent / "python"
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run(  # noqa: S603 - the Python that runs the server
        [str(python), "-c", code, server.package], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _set_up_loopback() -> None:
    with socket.socket() as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def main() -> int:
    """Measure the server that the command line names."""
    name, folder = sys.argv[1:]
    _set_up_loopback()
    (server,) = (one for one in SERVERS if one.name == name)
    sys.stdout.write(f"{json.dumps(_measure(server, Path(folder)))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
