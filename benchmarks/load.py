"""Puts a web server under load: with wrk where it is installed, else with its own generator.

As a program: `python -m benchmarks.load URL CONNECTIONS SECONDS` runs that generator.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from time import perf_counter
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.child import python
from benchmarks.figures import percentile

__all__ = ["Load", "generator", "parse_wrk", "put_load"]

CONNECTIONS: Final = 16
_UNITS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class Load(NamedTuple):
    """The result of one stretch of load.

    Attributes:
        requests: How many were answered.
        rate: Requests a second.
        p50: Latency in milliseconds.
        p99: Latency in milliseconds.
        errors: How many failed.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    errors: int


def generator() -> str:
    """Return the name of the load generator that this machine has."""
    return "wrk" if shutil.which("wrk") else "the benchmark's own generator"


def put_load(url: str, seconds: int) -> Load:
    """Request `url` again and again for `seconds`, and return the result."""
    wrk = shutil.which("wrk")
    if wrk is None:
        printed = python("-m", "benchmarks.load", url, str(CONNECTIONS), str(seconds))
        return Load(*json.loads(printed))
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - wrk
    return parse_wrk(done.stdout)


def parse_wrk(text: str) -> Load:
    r"""Parse the output of wrk.

    Raises:
        ValueError: The text is not the output of a successful run.

    >>> parse_wrk(
    ...     "  50%    1.20ms\n  99%    4.00ms\n  100 requests in 1.00s, 1MB read\n"
    ...     "Requests/sec:    99.50\n"
    ... )
    Load(requests=100, rate=99.5, p50=1.2, p99=4.0, errors=0)
    """
    total = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if total is None or rate is None:
        raise ValueError(f"wrk printed no result: {text[-500:]!r}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", text)
    errors = sum(map(int, socket.groups())) if socket else 0
    return Load(
        int(total[1]),
        float(rate[1]),
        _latency(text, 50),
        _latency(text, 99),
        errors + (int(refused[1]) if refused else 0),
    )


def _latency(text: str, share: int) -> float:
    found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk printed no latency of {share}%")
    return float(found[1]) * _UNITS[found[2]]


async def _request(host: str, port: int, path: str, deadline: float, times: list[float]) -> int:
    """Send requests over one connection until the deadline; return how many failed."""
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    failed = 0
    while perf_counter() < deadline:
        begin = perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        failed += not head.startswith(b"HTTP/1.1 200")
        times.append((perf_counter() - begin) * 1_000)
    writer.close()
    return failed


async def _run(url: str, connections: int, seconds: float) -> Load:
    parts = urlsplit(url)
    times: list[float] = []
    deadline = perf_counter() + seconds
    requests = [
        _request(parts.hostname or "", parts.port or 80, parts.path, deadline, times)
        for _ in range(connections)
    ]
    failed = sum(await asyncio.gather(*requests))
    rate = len(times) / seconds
    return Load(len(times), rate, percentile(times, 0.5), percentile(times, 0.99), failed)


def main() -> int:
    """Run the generator as the command line says, and print the result as JSON."""
    url, connections, seconds = sys.argv[1:]
    load = asyncio.run(_run(url, int(connections), float(seconds)))
    sys.stdout.write(json.dumps(load))
    return 0


if __name__ == "__main__":
    sys.exit(main())
