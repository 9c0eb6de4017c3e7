"""Requests that are made from the OpenAPI document, right ones and wrong ones."""

from __future__ import annotations

import sys
from time import perf_counter, sleep, time_ns
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks.servers import memory_bytes
from tests.figures import report_figures
from tests.programs import ROOT, environment, free_port, started
from tests.server.http.running import LINES, command_started
from tests.store.records import SECOND, log_line, span_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.http.running import Running

# What the text of a search has to be, or that one time is before another, no schema says.
NO_CHECKS = "positive_data_acceptance"


def store_some(running: Running) -> None:
    """Send spans and logs of the last minute."""
    now = time_ns()
    lines = [
        *(
            span_line("end", 1, trace=n, seq=n, at=now - n * SECOND, error="X: y" if n % 3 else "")
            for n in range(1, 60)
        ),
        span_line("start", 1, trace=99, seq=100, at=now),
        log_line("hi", trace=1, span=1, seq=101, at=now),
    ]
    running.client.post("/api/v1/records", content=b"\n".join(lines), headers=LINES)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="schemathesis needs Python 3.11")
@pytest.mark.timeout(180)
def test_every_answer_is_as_described(tmp_path: Path) -> None:
    """No request makes the server fail, and each answer has the form that the document says."""
    with command_started(tmp_path / "records", (free_port(), 0, 0)) as (running, process):
        store_some(running)
        words = [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            *(f"{running.ui}/api/v1/openapi.json", "--url", running.ui),
            *("--exclude-path", "/api/v1/stream", "--exclude-checks", NO_CHECKS),
            *("--phases", "fuzzing", "--max-examples", "8", "--seed", "13", "--no-color"),
        ]
        output = tmp_path / "schemathesis.txt"
        delays: list[float] = []
        hooks = environment(SCHEMATHESIS_HOOKS="tests.server.http.made_lines", PYTHONPATH=str(ROOT))
        with (
            started(words, cwd=tmp_path, output=output, env=hooks) as fuzzing,
            httpx.Client(base_url=running.ui) as client,
        ):
            while fuzzing.poll() is None:
                begun = perf_counter()
                assert client.get("/healthz").status_code == 200
                delays.append(perf_counter() - begun)
                sleep(0.02)
            assert fuzzing.returncode == 0, output.read_text()[-4_000:]
        report_figures(
            "server under made requests",
            memory_MiB=memory_bytes(process.pid) // 2**20,
            health_p99_ms=round(sorted(delays)[len(delays) * 99 // 100] * 1_000),
        )
