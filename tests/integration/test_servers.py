"""Servers with worker processes: each worker records its own spans into a file of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.programs import (
    EVERYTHING,
    SCRIPTS,
    environment,
    execute,
    free_port,
    ids,
    is_listening,
    python,
    recorded,
    spans_in,
    started,
    wait_until,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

APP = Path(__file__).parent / "app"


def ask(port: int, path: str, times: int) -> set[str]:
    """Make requests, each on a connection of its own, and return the different answers."""
    headers = {"Connection": "close"}
    url = f"http://127.0.0.1:{port}{path}"
    return {requests.get(url, headers=headers, timeout=30).text for _ in range(times)}


def stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    """End a server in order."""
    process.send_signal(signal.SIGTERM)
    outcome = process.wait(40)
    assert outcome in {0, -signal.SIGTERM}, (folder / "output.txt").read_text()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [(), ("--preload",), ("--preload", "--max-requests", "5")])
def test_gunicorn(tmp_path: Path, options: Sequence[str]) -> None:
    """Workers that gunicorn forks record their requests, also when the program is preloaded."""
    port = free_port()
    server = [str(SCRIPTS / "gunicorn"), "--workers", "2", "--bind", f"127.0.0.1:{port}", *options]
    command = recorded(tmp_path / "traces", *server, "pages:app")
    env = environment(PYTHONPATH=str(APP), **EVERYTHING)
    with started(command, cwd=tmp_path, env=env) as process:
        wait_until(lambda: is_listening(port), "gunicorn listens", 60)
        workers = ask(port, "/page", 40)
        stop(process, tmp_path)
    requested = spans_in(tmp_path / "traces", "request")
    assert ids(requested, "start") == ids(requested, "end")
    assert len(ids(requested, "start")) == 40
    # The worker that answered a request recorded it.
    assert {record.process.id.split("-")[1] for record in requested} == workers
    imported = {record.process.id for record in spans_in(tmp_path / "traces", "import")}
    if "--preload" in options:
        assert len(imported) == 1
        assert imported.isdisjoint(record.process.id for record in requested)
    else:
        assert imported >= {record.process.id for record in requested}


@pytest.mark.timeout(120)
def test_uvicorn_with_workers(tmp_path: Path) -> None:
    """Workers that uvicorn spawns record their requests, and no other process writes a file."""
    port = free_port()
    server = [str(SCRIPTS / "uvicorn"), "--workers", "2", "--port", str(port), "shop:app"]
    env = environment(
        **EVERYTHING,
        PYTHONPATH=str(APP),
        SHOP_DATABASE=str(tmp_path / "shop.db"),
        SHOP_URL=f"http://127.0.0.1:{port}",
    )
    with started(recorded(tmp_path / "traces", *server), cwd=tmp_path, env=env) as process:
        wait_until(lambda: is_listening(port), "uvicorn listens", 60)
        ask(port, "/price/1", 40)
        stop(process, tmp_path)
    served = spans_in(tmp_path / "traces", "GET /price/{item}")
    assert ids(served, "start") == ids(served, "end")
    assert len(ids(served, "start")) == 40
    # The supervisor and multiprocessing's resource tracker make no spans, so no files.
    assert len(list((tmp_path / "traces").glob("*.jsonl"))) == len({r.process.id for r in served})


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_celery_prefork(tmp_path: Path) -> None:
    """Tasks in prefork children are recorded, though each child ends after one task."""
    env = environment(**EVERYTHING, PYTHONPATH=str(APP), JOBS_FOLDER=str(tmp_path / "jobs"))
    worker = [
        str(SCRIPTS / "celery"),
        "-A",
        "jobs",
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        "2",
    ]
    options = ["--max-tasks-per-child", "1", "--without-gossip", "--without-mingle"]
    send = (
        "import jobs\n"
        "results = [jobs.double.delay(number) for number in range(6)]\n"
        "print([result.get(timeout=50) for result in results])\n"
    )
    command = recorded(tmp_path / "traces", *worker, *options, "--without-heartbeat")
    # Celery runs as root only with this variable.
    with started(command, cwd=tmp_path, env={**env, "C_FORCE_ROOT": "1"}) as process:
        done = execute(python("-c", send), cwd=tmp_path, env=env, timeout=80)
        assert done.out == "[0, 2, 4, 6, 8, 10]\n", done.err
        stop(process, tmp_path)
    doubled = spans_in(tmp_path / "traces", "double")
    assert ids(doubled, "start") == ids(doubled, "end")
    assert len(ids(doubled, "start")) == 6
    pids = {record.process.id.split("-")[1] for record in doubled}
    assert len(pids) == 6
    assert str(os.getpid()) not in pids
