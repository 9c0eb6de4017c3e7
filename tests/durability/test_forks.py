"""Forks, spawned children, servers with workers: each process has its own file, also if killed."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.durability.kit import (
    Found,
    assert_ended_once,
    assert_valid,
    command,
    read,
    read_line,
    recovered,
    running,
    tree_env,
)
from tests.figures import report_figures
from tests.programs import SCRIPTS, free_port, is_listening, python, recorded, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = Path(__file__).parents[1] / "integration" / "app"


def by_process(found: Found, name: str) -> dict[str, list[str | None]]:
    """Return how the spans called `name` ended, by the process that recorded it."""
    ends: dict[str, list[str | None]] = {}
    for end in found.phase("end", name):
        ends.setdefault(end.process.id, []).append(end.abandoned)
    return ends


def assert_apart(folder: Path, found: Found) -> None:
    """Assert that each process wrote its own file, each span ended once, and all is valid."""
    assert_ended_once(found)
    assert not found.skipped
    for end in found.phase("end"):
        [start] = [r for r in found.phase("start") if r.key == end.key]
        assert start.process.id == end.process.id
    stems = {path.stem for path in folder.glob("*.jsonl")}
    assert stems == {record.process.id for record in found.records}
    assert_valid(folder)


@pytest.mark.parametrize(
    "end", ["return", "os._exit(0)", "os.kill(os.getpid(), 9)", "raise OSError"]
)
def test_os_fork(tmp_path: Path, end: str) -> None:
    """However a child ends, only the parent ends its spans, and the child's are all recorded."""
    text = f"""
    import warnings
    warnings.simplefilter("ignore")
    def child(number):
        tracer.start_span("child's done").end()
        kept.append(tracer.start_span("child's open"))
        for span in inherited:
            span.end()
        {end}
    kept = []
    inherited = [tracer.start_span("parent's") for _ in range(3)]
    pids = []
    for number in range(4):
        pid = os.fork()
        if not pid:
            child(number)
            sys.exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    for span in inherited:
        span.end()
    """
    done = subprocess.run(
        command(text, tmp_path), env=tree_env(), timeout=50, check=False, stderr=subprocess.PIPE
    )
    assert done.returncode == 0, done.stderr
    found = recovered(tmp_path)
    assert_apart(tmp_path, found)
    assert list(by_process(found, "parent's").values()) == [[None] * 3]
    assert list(by_process(found, "child's done").values()) == [[None]] * 4
    cause = "process-died" if "os." in end else "shutdown"
    assert list(by_process(found, "child's open").values()) == [[cause]] * 4


KILLED_CHILDREN = """\
import multiprocessing, os, sys
from opentelemetry import trace
import otel_ext
otel_ext.configure(output=sys.argv[1], console="off")
tracer = trace.get_tracer("test")

def work(number):
    tracer.start_span("done").end()
    span = tracer.start_span("open")
    if number % 2:
        os.kill(os.getpid(), 9)

if __name__ == "__main__":
    with tracer.start_as_current_span("parent"):
        context = multiprocessing.get_context(sys.argv[2])
        children = [context.Process(target=work, args=(number,)) for number in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_with_killed_children(tmp_path: Path, method: str) -> None:
    """In each start method recovery ends the spans of killed children; the others end their own."""
    program = tmp_path / "program.py"
    program.write_text(KILLED_CHILDREN)
    folder = tmp_path / "traces"
    done = subprocess.run(
        python("-W", "ignore", program, folder, method), env=tree_env(), timeout=55, check=False
    )
    assert done.returncode == 0
    found = recovered(folder)
    assert_apart(folder, found)
    assert list(by_process(found, "parent").values()) == [[None]]
    assert list(by_process(found, "done").values()) == [[None]] * 4
    causes = sorted(str(one[0]) for one in by_process(found, "open").values())
    assert causes[2:] == ["process-died", "process-died"]
    # Forked children of multiprocessing end by os._exit, perhaps before they end their spans.
    others = {"garbage-collected", "shutdown", "owner-died"}
    assert set(causes[:2]) <= (others if method == "spawn" else others | {"process-died"})


def test_gevent(tmp_path: Path) -> None:
    """Under gevent, children and greenlets record as usual; recovery ends a killed child's span."""
    head = "from gevent import monkey; monkey.patch_all()\nimport gevent\n"
    text = """
    import os, sys, time
    import otel_ext
    from opentelemetry import trace
    handle = otel_ext.configure(output=sys.argv[1], console="off")
    tracer = trace.get_tracer("durability")
    def work(number):
        with tracer.start_as_current_span("greenlet's", attributes={"n": number}):
            gevent.sleep(0.01)
    gevent.joinall([gevent.spawn(work, number) for number in range(50)])
    kept = tracer.start_span("parent's")
    pid = gevent.os.fork()
    if not pid:
        gevent.joinall([gevent.spawn(work, number) for number in range(50)])
        mine = tracer.start_span("child's")
        os.kill(os.getpid(), 9)
    gevent.os.waitpid(pid, 0)
    kept.end()
    """
    done = subprocess.run(
        command(text, tmp_path, head=head), env=tree_env(), timeout=50, check=False
    )
    assert done.returncode == 0
    found = recovered(tmp_path)
    assert_apart(tmp_path, found)
    assert sorted(map(len, by_process(found, "greenlet's").values())) == [50, 50]
    assert list(by_process(found, "parent's").values()) == [[None]]
    assert list(by_process(found, "child's").values()) == [["process-died"]]


SLOW_PAGES = """\
import os, time
from opentelemetry import trace
tracer = trace.get_tracer("pages")
preloaded = tracer.start_span("import")

def app(environ, start_response):
    with tracer.start_as_current_span("request"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/die":
            os.kill(os.getpid(), 9)
        return [str(os.getpid()).encode()]
"""


def serve(tmp_path: Path, name: str, text: str, server: Sequence[str]) -> Found:
    """Run a server, kill three workers amid requests, stop it, and return the recovered records."""
    (tmp_path / f"{name}.py").write_text(text)
    port, folder = free_port(), tmp_path / "traces"
    argv = recorded(folder, str(SCRIPTS / server[0]), *server[1:])
    argv = [word.replace("PORT", str(port)) for word in argv]
    env = tree_env(PYTHONPATH=str(tmp_path))
    with started(argv, cwd=tmp_path, env=env) as process:
        wait_until(lambda: is_listening(port), "the server listens", 40)
        url = f"http://127.0.0.1:{port}"
        for _ in range(3):
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{url}/die", timeout=20, headers={"Connection": "close"})
            wait_until(lambda: is_served(url), "another worker answers", 30)
        # The other workers end the spans of the dead ones while the server runs.
        wait_until(lambda: len(died(folder)) >= 2, "the ends of the dead", 10)
        seen = len(died(folder))
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) in {0, -signal.SIGTERM}
    report_figures(f"{server[0]}: killed workers", recovered_while_it_ran=f"{seen} of 3")
    found = recovered(folder)
    assert_apart(folder, found)
    return found


def is_served(url: str) -> bool:
    """Return whether the server answers now."""
    try:
        return requests.get(f"{url}/", timeout=20, headers={"Connection": "close"}).ok
    except requests.ConnectionError:
        return False


def died(folder: Path) -> list[object]:
    """Return the ends of requests that were written for a dead worker."""
    return [end for end in read(folder).phase("end", "request") if end.abandoned == "process-died"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_gunicorn_with_preload(tmp_path: Path) -> None:
    """Each worker that dies leaves a request open, which another ends; the master lives on."""
    server = ["gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:PORT", "slow:app"]
    found = serve(tmp_path, "slow", SLOW_PAGES, server)
    ends = by_process(found, "request")
    assert sum(cause == "process-died" for causes in ends.values() for cause in causes) == 3
    # The master's own span stays open until the master ends, whatever the workers do.
    [imported] = by_process(found, "import").values()
    assert imported in (["shutdown"], ["process-died"])
    assert next(iter(by_process(found, "import"))) not in ends


ASGI = """\
import os
from opentelemetry import trace
tracer = trace.get_tracer("pages")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    with tracer.start_as_current_span("request"):
        if scope["path"] == "/die":
            os.kill(os.getpid(), 9)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_uvicorn_with_workers(tmp_path: Path) -> None:
    """Workers that uvicorn spawns die amid requests; uvicorn starts others, and nothing is lost."""
    found = serve(
        tmp_path, "asgi", ASGI, ["uvicorn", "--workers", "2", "--port", "PORT", "asgi:app"]
    )
    ends = by_process(found, "request")
    assert sum(cause == "process-died" for causes in ends.values() for cause in causes) == 3


@pytest.mark.storm
@pytest.mark.timeout(120)
def test_celery_prefork_with_killed_children(tmp_path: Path) -> None:
    """Recovery ends the span of a prefork child that is killed amid a task; others end theirs."""
    (tmp_path / "deadly.py").write_text(
        "import os\n"
        "from jobs import app, tracer\n"
        "@app.task(name='deadly.die')\n"
        "def die():\n"
        "    with tracer.start_as_current_span('die'):\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    folder = tmp_path / "traces"
    env = tree_env(
        PYTHONPATH=f"{APP}{os.pathsep}{tmp_path}",
        JOBS_FOLDER=str(tmp_path / "jobs"),
        C_FORCE_ROOT="1",
    )
    worker = [str(SCRIPTS / "celery"), "-A", "deadly", "worker", "--pool", "prefork"]
    options = ["--concurrency", "2", "--max-tasks-per-child", "1", "--without-gossip"]
    send = (
        "import deadly, jobs\n"
        "for _ in range(2): deadly.die.delay()\n"
        "results = [jobs.double.delay(number) for number in range(4)]\n"
        "print([result.get(timeout=50) for result in results], flush=True)\n"
    )
    argv = recorded(folder, *worker, *options, "--without-mingle", "--without-heartbeat")
    with started(argv, cwd=tmp_path, env=env) as process:
        with running(
            python("-c", send), **{k: env[k] for k in ("PYTHONPATH", "JOBS_FOLDER")}
        ) as sender:
            assert read_line(sender) == "[0, 2, 4, 6]"
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) in {0, -signal.SIGTERM}
    found = recovered(folder)
    assert_apart(folder, found)
    assert list(by_process(found, "die").values()) == [["process-died"]] * 2
    assert sorted(by_process(found, "double").values()) == [[None]] * 4
