"""Servers with worker processes: each worker records its own spans into a file of its own."""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from otel_ext.journal.recovery.recover import recover
from tests.programs import (
    EVERYTHING,
    SCRIPTS,
    environment,
    free_port,
    ids,
    python,
    recorded,
    spans_in,
    started,
    succeed,
    wait_until,
)
from tests.serving import answers, serving

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

APP = Path(__file__).parent / "app"
REQUESTS = 40
UWSGI = ["--enable-threads", "--venv", os.environ.get("VIRTUAL_ENV", str(SCRIPTS.parent))]


def assert_recorded_by_workers(folder: Path, answered: set[str], *, preloaded: bool) -> None:
    """Check that each request was recorded once, by the worker whose process answered it.

    Args:
        folder: The records.
        answered: The processes that answered.
        preloaded: The program was imported once, before the workers were forked.
    """
    requested = spans_in(folder, "request")
    assert ids(requested, "start") == ids(requested, "end")
    assert len(set(ids(requested, "start"))) == len(ids(requested, "start")) == REQUESTS
    assert {record.process.id.split("-")[1] for record in requested} == answered
    imported = {record.process.id for record in spans_in(folder, "import")}
    if preloaded:
        assert len(imported) == 1
        assert imported.isdisjoint(record.process.id for record in requested)
    else:
        assert imported >= {record.process.id for record in requested}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [(), ("--preload",), ("--preload", "--max-requests", "5")])
def test_gunicorn(tmp_path: Path, options: Sequence[str]) -> None:
    """Workers that gunicorn forks record their requests, also when the program is preloaded."""
    port = free_port()
    server = [str(SCRIPTS / "gunicorn"), "--workers", "2", "--bind", f"127.0.0.1:{port}", *options]
    command = recorded(tmp_path / "traces", *server, "pages:app")
    with serving(command, port, tmp_path, {**EVERYTHING, "PYTHONPATH": str(APP)}) as url:
        workers = answers(f"{url}/page", REQUESTS)
    preloaded = "--preload" in options
    assert_recorded_by_workers(tmp_path / "traces", workers, preloaded=preloaded)


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
def test_uwsgi(tmp_path: Path, options: Sequence[str]) -> None:
    """Workers that uWSGI forks from C: each records its requests, however the program is loaded."""
    port = free_port()
    server = [str(SCRIPTS / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", *UWSGI, *options]
    command = recorded(tmp_path / "traces", *server, "--wsgi", "pages:app", "--die-on-term")
    # Without a master it exits with 30 after SIGTERM.
    with serving(command, port, tmp_path, {"PYTHONPATH": str(APP)}, codes=(0, 30)) as url:
        workers = answers(f"{url}/page", REQUESTS)
        # uWSGI loses a signal for a worker that loads the program at that moment.
        loaded = 2 if "--lazy-apps" in options else 1
        text = tmp_path / "output.txt"
        wait_until(lambda: text.read_text("utf-8").count(" ready in ") >= loaded, "all are loaded")
    recover(tmp_path / "traces")
    preloaded = "--lazy-apps" not in options and "--master" in options
    assert_recorded_by_workers(tmp_path / "traces", workers, preloaded=preloaded)


@pytest.mark.timeout(120)
def test_uvicorn_with_workers(tmp_path: Path) -> None:
    """Workers that uvicorn spawns record their requests, and no other process writes a file."""
    port = free_port()
    server = [str(SCRIPTS / "uvicorn"), "--workers", "2", "--port", str(port), "shop:app"]
    command = recorded(tmp_path / "traces", *server)
    with serving(command, port, tmp_path, {**EVERYTHING, "PYTHONPATH": str(APP)}) as url:
        answers(f"{url}/price/1", REQUESTS)
    served = spans_in(tmp_path / "traces", "GET /price/{item}")
    assert ids(served, "start") == ids(served, "end")
    assert len(ids(served, "start")) == REQUESTS
    # The supervisor and multiprocessing's resource tracker make no spans, so no files.
    assert len(list((tmp_path / "traces").glob("*.jsonl"))) == len({r.process.id for r in served})


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_celery_prefork(tmp_path: Path) -> None:
    """Tasks in prefork children are recorded, though each child ends after one task."""
    variables = {**EVERYTHING, "PYTHONPATH": str(APP), "JOBS_FOLDER": str(tmp_path / "jobs")}
    worker = [str(SCRIPTS / "celery"), "-A", "jobs", "worker", "--pool", "prefork"]
    worker += ["--concurrency", "2", "--max-tasks-per-child", "1"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    send = (
        "import jobs\n"
        "results = [jobs.double.delay(number) for number in range(6)]\n"
        "print([result.get(timeout=40) for result in results])\n"
    )
    command = recorded(tmp_path / "traces", *worker)
    # Celery runs as root only with this variable.
    env = environment(**variables, C_FORCE_ROOT="1")
    with started(command, cwd=tmp_path, env=env) as process:
        done = succeed(python("-c", send), tmp_path, **variables)
        assert done.out == "[0, 2, 4, 6, 8, 10]\n", done.err
        process.send_signal(signal.SIGTERM)
        outcome = process.wait(40)
        assert outcome in {0, -signal.SIGTERM}, (tmp_path / "output.txt").read_text()
    doubled = spans_in(tmp_path / "traces", "double")
    assert ids(doubled, "start") == ids(doubled, "end")
    assert len(ids(doubled, "start")) == 6
    pids = {record.process.id.split("-")[1] for record in doubled}
    assert len(pids) == 6
    assert str(os.getpid()) not in pids


# Version 2 of control groups, and version 1: folder, file and text of half a processor.
GROUPS = (
    (Path("/sys/fs/cgroup"), "cpu.max", "50000 100000"),
    (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "50000"),
)


@contextmanager
def half_a_processor(name: str) -> Generator[str, None, None]:
    """Yield a shell command that limits the processor time of the shell and its children.

    Uses a control group where this user can make one, else the lowest priority on one
    processor.
    """
    for root, file, text in GROUPS:
        group = root / name
        members = group / "cgroup.procs"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            # "r+" does not create the file, which only a control group has.
            with (group / file).open("r+") as limit:
                limit.write(text)
        except OSError:
            group.rmdir()
            continue
        try:
            yield f"echo $$ > {shlex.quote(str(members))}"
        finally:
            wait_until(lambda: not members.read_text(), "the group is empty")  # noqa: B023
            group.rmdir()
        return
    cpu = min(os.sched_getaffinity(0))
    yield f"taskset -pc {cpu} $$ > /dev/null; renice -n 19 -p $$ > /dev/null"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_uvicorn_with_workers_and_half_a_processor(tmp_path: Path) -> None:
    """Workers pass uvicorn's health check, and requests are recorded."""
    port = free_port()
    server = [str(SCRIPTS / "uvicorn"), "--workers", "2", "--port", str(port), "shop:app"]
    command = shlex.join(recorded(tmp_path / "traces", *server))
    with half_a_processor(f"otel-ext-test-{os.getpid()}") as limit:
        shell = ["sh", "-c", f"{limit}; exec {command}"]
        variables = {**EVERYTHING, "PYTHONPATH": str(APP)}
        with serving(shell, port, tmp_path, variables) as url:
            assert requests.get(f"{url}/price/1", timeout=100).status_code == 200
    # uvicorn kills and restarts workers that answer too slowly, for ever if all do.
    assert spans_in(tmp_path / "traces", "GET /price/{item}")
