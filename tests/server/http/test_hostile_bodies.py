"""Hostile bodies for the command `otel-ext serve`, several at once: its memory stays bounded."""

from __future__ import annotations

import os
import re
import time
import zlib
from pathlib import Path

import httpx
import pytest

from tests.figures import report_figures
from tests.programs import free_port
from tests.server.http.running import command_started
from tests.threads import numbered_threads

MOST = 256 * 2**20
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def number(value: int) -> bytes:
    """Return a number of variable size."""
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(tag: int, data: bytes) -> bytes:
    """Return a field that is a message or a text."""
    return number(tag << 3 | 2) + number(len(data)) + data


def request(*spans: bytes, resource: bytes = b"") -> bytes:
    """Return a request with spans in protobuf."""
    return field(1, field(1, resource) + field(2, b"".join(field(2, one) for one in spans)))


def span(rest: bytes) -> bytes:
    """Return a span in protobuf, with more fields."""
    now = time.time_ns()
    times = b"\x39" + now.to_bytes(8, "little") + b"\x41" + (now + 5).to_bytes(8, "little")
    return field(1, os.urandom(16)) + field(2, os.urandom(8)) + field(5, b"n") + times + rest


def text(value: bytes) -> bytes:
    """Return an attribute of a span."""
    return field(9, field(1, b"k") + field(2, field(1, value)))


def bodies() -> dict[str, tuple[str, str, bytes]]:
    """Return path, media type and inflated body of each attack."""
    nested = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
    pairs = ",".join(['{"key":"k","value":{"stringValue":"a"}}'] * 110_000)
    items = field(9, field(1, b"k") + field(2, field(5, b"\x0a\x00" * 1_500_000)))
    return {
        "attributes": ("/v1/traces", PROTOBUF, request(span(b"\x4a\x00" * 1_900_000))),
        "events": ("/v1/traces", PROTOBUF, request(span(b"\x5a\x00" * 1_900_000))),
        "links": ("/v1/traces", PROTOBUF, request(*[span(b"\x6a\x00" * 1_900_000)] * 4)),
        "items": ("/v1/traces", PROTOBUF, request(span(items))),
        "resource": (
            "/v1/traces",
            PROTOBUF,
            request(span(b""), resource=b"\x0a\x00" * 8_000_000),
        ),
        "groups": ("/v1/logs", PROTOBUF, field(1, field(2, b"\x12\x00" * 9_000_000))),
        "control characters": (
            "/v1/traces",
            PROTOBUF,
            request(*(span(text(b"\x01" * 15_000)) for _ in range(1_500))),
        ),
        "pairs": ("/v1/traces", JSON, (nested % f'{{"attributes":[{pairs}]}}').encode()),
        "wide text": ("/v1/traces", JSON, (nested % f'{{"name":"{"x" * 15_000_000}😀"}}').encode()),
        "lines": (
            "/api/v1/records",
            "application/x-ndjson",
            (b"[1" + b",1" * 200 + b"]\n") * 60_000,
        ),
    }


def packed(data: bytes) -> bytes:
    """Return data in gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def most_memory(pid: int) -> int:
    """Return the most memory that a process has had so far, in bytes."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert match is not None
    return int(match[1]) * 1024


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for task in tasks for one in task.read_text("ascii").split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Of the server and of the process that stores; meanwhile another client is answered."""
    attacks = [(path, kind, packed(data)) for path, kind, data in bodies().values()]
    statuses: set[int] = set()
    delays: list[float] = []
    with command_started(tmp_path / "records", (free_port(), 0, 0)) as (running, process):
        at_rest = most_memory(process.pid)

        def attack(worker: int) -> None:
            with httpx.Client(base_url=running.ui, timeout=60) as client:
                if worker == 0:
                    for _ in range(50):
                        begin = time.perf_counter()
                        assert client.get("/healthz").status_code == 200
                        delays.append(time.perf_counter() - begin)
                        time.sleep(0.02)
                    return
                for index in range(len(attacks)):
                    path, kind, data = attacks[(index + worker) % len(attacks)]
                    headers = {"content-type": kind, "content-encoding": "gzip"}
                    answer = client.post(path, content=data, headers=headers)
                    statuses.add(answer.status_code)

        numbered_threads(7, attack)
        peak = most_memory(process.pid)
        storing = max(map(most_memory, children_of(process.pid)), default=0)
    assert statuses <= {200, 400, 503}
    assert 200 in statuses
    assert peak <= MOST
    assert storing <= MOST
    report_figures(
        "otel-ext serve under hostile bodies",
        memory_MiB=peak // 2**20,
        storing_MiB=storing // 2**20,
        at_rest_MiB=at_rest // 2**20,
        health_slowest_ms=round(max(delays) * 1000),
    )
