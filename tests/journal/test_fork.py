"""Forks: a child writes to its own ring buffer and segment, never to its parent's."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.ring_layout import RING_FOLDER
from tests.journal.builders import ROOT, lines_in, program, run

if TYPE_CHECKING:
    from pathlib import Path

COMMON = """
    import os, signal, sys, threading, time
    from pathlib import Path
    from otel_ext.journal.write.journal import Journal
    from otel_ext.runtime.process.incarnation import current
    from otel_ext.runtime.worker import shared_worker
    from tests.journal.builders import alone, line
    import warnings
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    mode = sys.argv[2]
    journal = Journal(folder, alone(durability=mode), worker=shared_worker(),
                      first_lines=lambda: [line(0, current().id, name="process.start")])
    def record(name):
        assert journal.append(line(current().next_seq(), current().id, name=name))
"""


def names_by_file(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each event is in each file, by the incarnation in its name."""
    return {
        path.stem: Counter(str(one.meta["event"]) for one in lines_in(path))
        for path in folder.glob("*.jsonl")
    }


@pytest.mark.parametrize("mode", ["mapped", "queued", "write"])
def test_parent_and_child_write_apart(tmp_path: Path, mode: str) -> None:
    """Lines from before the fork are in the parent's file only; each continues in its own."""
    text = f"""{COMMON}
    for number in range(100):
        record("before")
    pid = os.fork()
    who = "child" if pid == 0 else "parent"
    for number in range(200):
        record(who)
    assert journal.close(), who
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    run(text, tmp_path, mode)
    files = list(names_by_file(tmp_path).values())
    assert len(files) == 2
    parent, child = sorted(files, key=len, reverse=True)
    assert parent == {"process.start": 1, "before": 100, "parent": 200}
    assert child == {"process.start": 1, "child": 200}
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl", ".jsonl"]
    for path in tmp_path.glob("*.jsonl"):
        assert {one.meta["process"] for one in lines_in(path)} == {path.stem}


def test_a_child_that_never_records_leaves_nothing(tmp_path: Path) -> None:
    """A fork alone creates no file, and its end does not change the parent's ring buffer."""
    text = f"""{COMMON}
    record("before")
    pid = os.fork()
    if pid == 0:
        journal.close()
        os._exit(0)
    os.waitpid(pid, 0)
    record("after")
    print(len(list((folder / ".blackbox").iterdir())), journal.close())
    """
    assert run(text, tmp_path, "mapped").split() == ["1", "True"]
    assert list(names_by_file(tmp_path).values()) == [{"process.start": 1, "before": 1, "after": 1}]


def test_a_child_that_exits_hard_loses_nothing(tmp_path: Path) -> None:
    """After os._exit the child's lines are in its ring buffer, and recovery writes them."""
    text = f"""{COMMON}
    record("before")
    pid = os.fork()
    if pid == 0:
        for number in range(300):
            record("child")
        os._exit(0)
    os.waitpid(pid, 0)
    journal.close()
    """
    run(text, tmp_path, "mapped")
    assert len(list((tmp_path / RING_FOLDER).glob("*.ring"))) == 1
    recover(tmp_path)
    files = sorted(names_by_file(tmp_path).values(), key=lambda names: names["child"])
    assert files[1]["child"] == 300
    assert files[1]["process.end"] == 1
    assert not (tmp_path / RING_FOLDER).exists()


def test_a_fork_during_an_append_stores_nothing_in_the_parents_ring_buffer(tmp_path: Path) -> None:
    """A signal handler may fork while a caller is about to append."""
    text = f"""{COMMON}
    record("before")
    append = journal.append          # what a caller holds when the signal comes
    pid = os.fork()
    if pid == 0:
        assert not append(line(77, "stray", name="stray"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    record("after")
    assert journal.close()
    """
    run(text, tmp_path, "mapped")
    [names] = names_by_file(tmp_path).values()
    assert names == {"process.start": 1, "before": 1, "after": 1}


def test_forks_under_load_neither_hang_nor_lose(tmp_path: Path) -> None:
    """With busy threads in the parent, every child records, ends, and leaves undamaged files."""
    text = f"""{COMMON}
    import json
    stop = threading.Event()
    counts = [0, 0, 0]
    def load(me):
        while not stop.is_set():
            record("parent")
            counts[me] += 1
            if counts[me] % 20 == 0:
                time.sleep(0.0005)
    threads = [threading.Thread(target=load, args=(me,), daemon=True) for me in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            record("child")
            if number % 2:
                os._exit(0 if journal.close() else 3)
            os.kill(os.getpid(), signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert status == (0 if number % 2 else 9), status
    stop.set()
    for thread in threads:
        thread.join()
    assert journal.close()
    print(json.dumps(sum(counts)))
    """
    sent = json.loads(run(text, tmp_path, "mapped"))
    report = recover(tmp_path)
    assert not report.failed
    total: Counter[str] = Counter()
    for names in names_by_file(tmp_path).values():
        total += names
    assert total["parent"] == sent
    assert total["child"] == 40


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path: Path, method: str) -> None:
    """Workers of all three start methods write their own files."""
    script = tmp_path / "workers.py"
    script.write_text(
        """
import multiprocessing, sys, warnings
from pathlib import Path
from otel_ext.journal.write.journal import Journal
from otel_ext.runtime.process.incarnation import current
from tests.journal.builders import ALONE, line
warnings.simplefilter("ignore")
journal = Journal(Path(sys.argv[1]), ALONE)
def record(name):
    assert journal.append(line(current().next_seq(), current().id, name=name))
def work(_):
    record("worker")
    assert journal.drain()
if __name__ == "__main__":
    record("parent")
    context = multiprocessing.get_context(sys.argv[2])
    with context.Pool(2) as pool:
        pool.map(work, range(6), chunksize=1)
        pool.close()
        pool.join()
    journal.close()
""",
        encoding="utf-8",
    )
    folder = tmp_path / "traces"
    command = [program("")[0], str(script), str(folder), method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, timeout=50, env=environment)
    files = names_by_file(folder)
    total: Counter[str] = Counter()
    for names in files.values():
        total += names
    assert total == {"parent": 1, "worker": 6}
    assert 2 <= len(files) <= 3
