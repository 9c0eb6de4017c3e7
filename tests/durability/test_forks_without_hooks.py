"""Forks made in C, without at-fork hooks: each process has its own ring buffer and file."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.ring_layout import RING_FOLDER
from tests.durability.kit import (
    HEAD,
    NOT_COMPILED,
    Found,
    assert_ended_once,
    assert_valid,
    command,
    recovered,
    tree_env,
)

if TYPE_CHECKING:
    from pathlib import Path

# uWSGI's master has no thread of ours. If a thread waits for the interpreter lock during the
# fork, the child, of which the interpreter does not know, hangs when it releases the lock.
AS_IN_UWSGI = """\
import os, sys, types
sys.modules["uwsgi"] = types.ModuleType("uwsgi")
sys.modules["uwsgi"].worker_id = lambda: 0
sys.modules["uwsgi"].masterpid = lambda master=os.getpid(): master
"""
FORK_WITHOUT_HOOKS = """\
import _thread, ctypes, gc, random, sys, warnings
from otel_ext.runtime.isolated import IsolatedThread
warnings.simplefilter("ignore")
sys.setswitchinterval(60)  # a thread gives the interpreter lock away only where it waits
# As uWSGI does: from C, without the at-fork hooks, and seeding `random` itself.
fork = ctypes.PyDLL(None).fork
def parked():
    # Our threads wait for a byte of a pipe, until the returned function is called; the helpers
    # that start threads have ended.
    readable, writable = os.pipe()
    waiting = []
    def park():
        waiting.append(1)
        os.read(readable, 1)
    every = [one for one in gc.get_objects() if isinstance(one, IsolatedThread) and one.is_alive]
    for one in every:
        one.submit(park, is_left=True)
    while len(waiting) < len(every) or _thread._count() > len(every):
        time.sleep(0.01)
    return lambda: os.write(writable, bytes(len(every)))
def in_children(count, call):
    pids = []
    for number in range(count):
        go_on = parked()  # so that no thread waits for the interpreter lock now
        pid = fork()
        if pid:
            go_on()
        else:
            random.seed()
            try:
                call(number)
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
"""


def run(
    folder: Path,
    text: str,
    *,
    compiled: bool,
    threads: bool = False,
    expected: int = 0,
    head: str = "",
    **changes: str,
) -> Found:
    """Run a program that forks without hooks, recover its folder, and return the records."""
    first = ("" if compiled else NOT_COMPILED) + ("" if threads else AS_IN_UWSGI)
    head = first + head + HEAD + FORK_WITHOUT_HOOKS
    done = subprocess.run(
        command(text, folder, head=head),
        env=tree_env(**changes),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    assert "otel-ext:" not in done.stderr
    found = recovered(folder)
    assert not found.skipped
    assert_ended_once(found)
    assert_valid(folder)
    return found


def by_process(found: Found, name: str) -> list[int]:
    """Return how many spans called `name` each process has both started and ended."""
    ends = Counter(end.process.id for end in found.phase("end", name))
    assert ends == Counter(start.process.id for start in found.phase("start", name))
    return sorted(ends.values())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), 9)"])
def test_each_process_has_its_own_records(tmp_path: Path, end: str, *, compiled: bool) -> None:
    """Parent and children record at the same time; each record is there once, also after kills."""
    text = f"""
    parents = tracer.start_span("parent's")
    for _ in range(3):
        tracer.start_span("loaded").end()
    def work(number):
        assert not otel_ext.open_spans()
        parents.end()  # has no effect: only the parent may end it
        for _ in range(200):
            tracer.start_span("request").end()
        tracer.start_span("hangs")
        in_children(1, lambda number: tracer.start_span("grandchild's").end())
    in_children(3, work)
    parents.end()
    {end}
    """
    found = run(tmp_path, text, compiled=compiled, expected=-9 if "kill" in end else 0)
    assert by_process(found, "loaded") == [3]
    assert by_process(found, "parent's") == [1]
    assert by_process(found, "request") == [200] * 3
    assert by_process(found, "grandchild's") == [1] * 3
    assert [one.abandoned for one in found.phase("end", "parent's")] == [None]
    assert len({record.process.id for record in found.records}) == 7


@pytest.mark.parametrize("compiled", [True, False])
def test_a_log_notices_the_fork_too(tmp_path: Path, *, compiled: bool) -> None:
    """A child whose first record is a log writes it under its own process id."""
    text = """
    import structlog
    from otel_ext.processors.tracer_meta import TracerMetaProcessor
    structlog.configure(
        processors=[TracerMetaProcessor(handle.exporter)],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    log = structlog.get_logger()
    log.info("loaded")
    in_children(2, lambda number: [log.info("request") for _ in range(20)])
    """
    found = run(tmp_path, text, compiled=compiled)
    requests = Counter(record.process.id for record in found.events("request"))
    [loaded] = found.events("loaded")
    assert sorted(requests.values()) == [20, 20]
    assert loaded.process.id not in requests


@pytest.mark.parametrize("compiled", [True, False])
def test_shutdown_in_a_child_leaves_the_parent_alone(tmp_path: Path, *, compiled: bool) -> None:
    """A child that flushes and shuts down without a record ends no span and removes no file."""
    text = f"""
    from pathlib import Path
    span = tracer.start_span("parent's")
    def close(number):
        handle.flush(1.0)
        handle.shutdown(1.0)
    in_children(2, close)
    assert len(list(Path(sys.argv[1], {RING_FOLDER!r}).iterdir())) == 1
    span.end()
    tracer.start_span("later").end()
    """
    found = run(tmp_path, text, compiled=compiled)
    assert [end.abandoned for end in found.phase("end", "parent's")] == [None]
    assert by_process(found, "later") == [1]
    assert len({record.process.id for record in found.records}) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_process_ids_serve_where_the_kernel_clears_no_page(
    tmp_path: Path, *, compiled: bool
) -> None:
    """On an older kernel, or another system, process ids show that a process is a child."""
    text = """
    in_children(2, lambda number: [tracer.start_span("request").end() for _ in range(20)])
    """
    head = "from otel_ext.runtime import fork as parts\nparts._wiped_page = lambda: None\n"
    found = run(tmp_path, text, compiled=compiled, head=head)
    assert by_process(found, "request") == [20, 20]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_child_without_a_thread_makes_room_itself(tmp_path: Path, *, compiled: bool) -> None:
    """Such a child has no worker; where its ring buffer is full, the caller writes it out."""
    text = """
    def work(number):
        for _ in range(2000):
            tracer.start_span("request", attributes={"text": "x" * 200}).end()
        print(*(thread.name for thread in threading.enumerate()), file=sys.stderr)
    tracer.start_span("loaded").end()
    in_children(1, work)
    """
    found = run(tmp_path, text, compiled=compiled, threads=True, OTEL_EXT_RING_SIZE="128KiB")
    assert by_process(found, "request") == [2000]
