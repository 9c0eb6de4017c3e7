"""uWSGI, which forks its workers from C: each records its requests, and the server stops."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from otel_ext.journal.recovery.recover import recover
from tests.programs import (
    SCRIPTS,
    environment,
    free_port,
    ids,
    is_listening,
    recorded,
    spans_in,
    started,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = Path(__file__).parent / "app"
REQUESTS = 40


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "options",
    [
        ("--master", "--processes", "3"),
        ("--master", "--processes", "2", "--threads", "2"),
        ("--master", "--processes", "2", "--lazy-apps"),
        ("--master", "--processes", "2", "--py-call-uwsgi-fork-hooks"),
        ("--processes", "1"),
    ],
    ids=" ".join,
)
def test_each_worker_records_its_requests(tmp_path: Path, options: Sequence[str]) -> None:
    """With every way to load the program each request is recorded once, by its worker."""
    port = free_port()
    server = [str(SCRIPTS / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--enable-threads"]
    program = ["--wsgi", "pages:app", "--venv", os.environ.get("VIRTUAL_ENV", str(SCRIPTS.parent))]
    command = recorded(tmp_path / "traces", *server, *options, *program, "--die-on-term")
    with started(command, cwd=tmp_path, env=environment(PYTHONPATH=str(APP))) as process:
        wait_until(lambda: is_listening(port), "uWSGI listens", 60)
        url, close = f"http://127.0.0.1:{port}/page", {"Connection": "close"}
        pids = {requests.get(url, headers=close, timeout=30).text for _ in range(REQUESTS)}
        process.send_signal(signal.SIGTERM)
        # uWSGI kills workers that have not stopped after 60 seconds, so it is given less.
        # Without a master it exits with 30 after SIGTERM.
        assert process.wait(40) in {0, 30}, (tmp_path / "output.txt").read_text()
    recover(tmp_path / "traces")
    requested = spans_in(tmp_path / "traces", "request")
    assert ids(requested, "start") == ids(requested, "end")
    assert len(set(ids(requested, "end"))) == len(ids(requested, "end")) == REQUESTS
    assert {record.process.id.split("-")[1] for record in requested} == pids
    imported = {record.process.id for record in spans_in(tmp_path / "traces", "import")}
    if "--lazy-apps" not in options and "--master" in options:
        assert len(imported) == 1
        assert imported.isdisjoint(record.process.id for record in requested)
