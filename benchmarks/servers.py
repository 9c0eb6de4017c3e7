"""Starts and stops what is measured as a program: applications, servers, the collector."""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.child import environment
from tests.programs import free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

__all__ = [
    "Server",
    "children_of",
    "collector_command",
    "cpu_seconds",
    "free_ports",
    "memory_bytes",
    "serve",
]

_START_SECONDS: Final = 30.0
_TICKS: Final = 100.0  # of /proc/PID/stat in a second, on every Linux


class Server(NamedTuple):
    """A running server.

    Attributes:
        pid: Its process.
        port: Where it listens, on the loopback interface.
    """

    pid: int
    port: int


def free_ports(count: int) -> list[int]:
    """Return free ports of the loopback interface."""
    return [free_port() for _ in range(count)]


def collector_command(http: int, grpc: int, folder: Path) -> list[str] | None:
    """Return the command for the collector rotel, which discards all data; None without it."""
    spec = find_spec("rotel")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    agents = [Path(one) / "rotel-agent" for one in folders]
    found = [str(agent) for agent in agents if agent.is_file()]
    if not found:
        return None
    return [
        *(found[0], "start", "--exporter", "blackhole"),
        *("--otlp-http-endpoint", f"127.0.0.1:{http}"),
        *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
        *("--pid-file", str(folder / "rotel.pid")),
    ]


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the benchmarks."""
    return [sys.executable, "-m", module, *arguments]


@contextmanager
def serve(
    command: Sequence[str],
    port: int,
    log: Path,
    extra: Mapping[str, str] = MappingProxyType({}),
    *,
    seconds: float = _START_SECONDS,
) -> Generator[Server]:
    """Start a server, wait until it listens, and stop it at the end of the block.

    Args:
        command: What starts it.
        port: Where it listens.
        log: Gets what it prints.
        extra: Variables of its environment, beside those of this process.
        seconds: How long to wait for it.

    Raises:
        RuntimeError: It does not listen in time; the message has the end of its log.
    """
    # The collector is linked against the libpython of its installation.
    variables = {
        **environment(),
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
        **extra,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs and the collector
            list(command), env=variables, stdout=output, stderr=output
        )
    try:
        _wait_until_it_listens(process, port, log, seconds)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.kill()
        process.wait()


def _wait_until_it_listens(
    process: subprocess.Popen[bytes], port: int, log: Path, seconds: float
) -> None:
    until = monotonic() + seconds
    while monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        sleep(0.05)
    output = log.read_text(errors="replace")[-2_000:]
    raise RuntimeError(f"{process.args!r} does not listen on {port}:\n{output}")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that all threads of `pid` have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pid: int, field: str = "VmHWM") -> int:
    """Return the most memory that a process has had so far, in bytes.

    Args:
        pid: The process.
        field: Of `/proc/PID/status`, proc(5); `VmRSS` for the memory that it has now.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` has started, whichever of its threads did."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end meanwhile; another one then has its children.
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, task.read_text().split())
    return found
