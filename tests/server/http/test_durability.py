"""What the server has acknowledged is stored, however the server ends."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from otel_ext.store.sqlite.schema import STORE_FOLDER
from otel_ext.store.sqlite.writer import SqliteWriter
from tests.durability.kit import small_disk
from tests.programs import OTEL_EXT, free_port, started, wait_until
from tests.server.http.running import LINES, command_started, serving
from tests.server.http.test_receiving import PROTOBUF, request
from tests.store.records import span_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Sender:
    """Sends one trace after the other until the server is gone, and notes what is acknowledged.

    Args:
        post: Sends the trace of a number; returns the status.
    """

    def __init__(self, post: Callable[[int], int]) -> None:
        self._post = post
        self.acknowledged: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._next = 1

    def start(self) -> None:
        """Begin, or go on."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait until the server is gone."""
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            try:
                status = self._post(self._next)
            except httpx.HTTPError:
                return
            if status == 200:
                self.acknowledged.append(self._next)
            self._next += 1


@pytest.mark.parametrize("form", ["lines", "otlp"])
def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path, form: str) -> None:
    """The server is killed with -9 at random times while a client sends, and started again."""
    ports = (free_port(), free_port(), free_port())
    chance = random.Random(13)

    def post(number: int) -> int:
        if form == "lines":
            url, headers = f"http://127.0.0.1:{ports[0]}/api/v1/records", LINES
            content = span_line("end", 1, trace=number, seq=number)
        else:
            url, headers = f"http://127.0.0.1:{ports[1]}/v1/traces", PROTOBUF
            content = request(number).SerializeToString()
        return client.post(url, content=content, headers=headers).status_code

    sender = Sender(post)
    with httpx.Client(timeout=30) as client:
        for _ in range(2):
            with command_started(tmp_path / "records", ports) as (_, process):
                wanted = len(sender.acknowledged) + chance.randrange(3, 120)
                sender.start()
                wait_until(lambda: len(sender.acknowledged) >= wanted, "some are acknowledged")  # noqa: B023
                os.kill(process.pid, signal.SIGKILL)
                sender.join()
    sent = len(sender.acknowledged)
    with command_started(tmp_path / "records", ports) as (running, process):
        wait_until(lambda: running.count() >= sent, "all are stored")
        for number in sender.acknowledged:
            assert running.client.get(f"/api/v1/traces/{number:032x}").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_stop_stores_what_is_left(tmp_path: Path) -> None:
    """After SIGTERM all that was acknowledged is in the store, and the exit code is 0."""
    ports = (free_port(), free_port(), free_port())
    with command_started(tmp_path / "records", ports) as (running, process):
        body = b"\n".join(span_line("end", 1, trace=n, seq=n) for n in range(1, 3_001))
        answer = running.client.post("/api/v1/records", content=body, headers=LINES)
        assert answer.json()["accepted"] == 3_000
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    from otel_ext.store.sqlite.store import SqliteStore  # noqa: PLC0415 - only here

    store = SqliteStore(tmp_path / "records" / STORE_FOLDER)
    assert store.totals().traces == 3_000
    store.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """Records are refused by 503 with Retry-After; the server goes on."""
    disk = tmp_path / "disk"
    port = free_port()
    words = ["serve", str(disk), "--port", str(port), "--otlp-http-port", "0"]
    command = small_disk(1_024, disk, [OTEL_EXT, *words, "--otlp-grpc-port", "0"])
    output = tmp_path / "serve.txt"
    with started(command, cwd=tmp_path, output=output) as process:
        wait_until(
            lambda: "Ctrl-C" in output.read_text() or process.poll() is not None, "it has started"
        )
        assert process.poll() is None, output.read_text()
        url = f"http://127.0.0.1:{port}"
        answer = httpx.post(f"{url}/api/v1/records", content=b"", headers=LINES)
        for number in range(1, 3_000):
            line = span_line("end", 1, trace=number, seq=number, text="x" * 4_000)
            answer = httpx.post(f"{url}/api/v1/records", content=line, headers=LINES)
            if answer.status_code != 200:
                break
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["hint"]
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_store_that_another_process_writes(tmp_path: Path) -> None:
    """The server takes records, says that it is not ready, and stores them later."""
    writer = SqliteWriter(tmp_path / STORE_FOLDER)
    with serving(tmp_path) as running:
        wait_until(lambda: running.client.get("/readyz").status_code == 503, "it is not ready")
        assert "another process" in running.client.get("/readyz").json()["problem"]
        line = span_line("end", 1)
        assert running.client.post("/api/v1/records", content=line, headers=LINES).is_success
        writer.close()
        wait_until(lambda: running.count() == 1, "it is stored")
        wait_until(lambda: running.client.get("/readyz").status_code == 200, "it is ready")


@pytest.mark.slow
def test_a_locked_database(tmp_path: Path) -> None:
    """While another program locks a file of the store, records are kept and questions refused."""
    folder = tmp_path / "records"
    with serving(folder) as running:
        line = span_line("end", 1, trace=1, seq=1)
        running.client.post("/api/v1/records", content=line, headers=LINES)
        wait_until(lambda: running.count() == 1, "the first trace is stored")
    (day,) = (folder / STORE_FOLDER).glob("*-*.sqlite")
    with closing(sqlite3.connect(day, isolation_level=None)) as locking:
        locking.execute("PRAGMA locking_mode = EXCLUSIVE")
        locking.execute("BEGIN EXCLUSIVE")
        with serving(folder) as running:
            line = span_line("end", 1, trace=2, seq=2)
            taken = running.client.post("/api/v1/records", content=line, headers=LINES)
            assert taken.status_code == 200
            answer = running.client.get("/api/v1/traces")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "Another program uses it" in answer.text
            wait_until(lambda: running.client.get("/readyz").status_code == 503, "it is not ready")
            locking.rollback()
            locking.close()
            wait_until(lambda: running.client.get("/readyz").status_code == 200, "it is ready")
            wait_until(lambda: running.count() == 2, "both traces are stored")
