"""Recoveries at the same time, beside living processes, and killed halfway."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.locking import incarnation_lock
from otel_ext.journal.recovery.recover import RecoveryReport, recover
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write.journal import Journal
from tests.journal.builders import alone, line, lines_in, program, running
from tests.journal.killed import die
from tests.programs import becomes_true

if TYPE_CHECKING:
    from pathlib import Path

RECOVER = """
    import sys
    from pathlib import Path
    from otel_ext.journal.recovery.recover import recover
    sys.stdin.readline()
    report = recover(Path(sys.argv[1]))
    print(report.spans, len(report.failed))
"""


def check(folder: Path, spans: int) -> None:
    """Assert that each record exists once, and each open span has one end."""
    found = [one for path in folder.glob("*.jsonl") for one in lines_in(path)]
    keys = Counter(one.key for one in found)
    assert [key for key, times in keys.items() if times > 1] == []
    ends = Counter(
        str(one.meta["span_id"])
        for one in found
        if one.meta.get("abandoned") and "span_id" in one.meta
    )
    assert len(ends) == spans
    assert set(ends.values()) <= {1}
    assert not (folder / RING_FOLDER).exists()


def test_processes_that_recover_at_once(tmp_path: Path) -> None:
    """Four recoveries share the work: together they end each span once."""
    for _ in range(4):
        die(tmp_path, count=20)
    processes = [
        subprocess.Popen(
            program(RECOVER, tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    results = [list(map(int, process.communicate(timeout=50)[0].split())) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(failed for _, failed in results) == 0
    recover(tmp_path)
    check(tmp_path, 4 * 21)


def test_threads_that_recover_at_once(tmp_path: Path) -> None:
    """Threads of one process share the work, where record locks would not help."""
    for _ in range(2):
        die(tmp_path, count=50)
    reports: list[RecoveryReport] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        reports.append(recover(tmp_path))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.spans for report in reports) == 2 * 51
    assert not any(report.failed for report in reports)
    check(tmp_path, 2 * 51)


def test_a_lock_whose_holder_died_is_taken_over(tmp_path: Path) -> None:
    """A recovery that is killed does not block others."""
    dead = die(tmp_path)
    hold = """
        import os, signal, sys
        from pathlib import Path
        from otel_ext.journal.recovery.locking import incarnation_lock
        with incarnation_lock(Path(sys.argv[1]), sys.argv[2]) as is_locked:
            assert is_locked
            print("held", flush=True)
            signal.pause()
    """
    with running(hold, tmp_path, dead.id) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert recover(tmp_path).busy == [dead.id]
        process.kill()
        process.wait()
    assert recover(tmp_path).spans == 4
    check(tmp_path, 4)


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """Only one of two locks on an incarnation can be taken, and nothing stays of them."""
    with incarnation_lock(tmp_path, "a") as first, incarnation_lock(tmp_path, "a") as second:
        assert first
        assert not second
    with incarnation_lock(tmp_path, "a") as again:
        assert again
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", ["write", "fdatasync", "unlinkat", "unlink", "flock"])
def test_a_recovery_that_is_killed_is_finished_by_the_next(tmp_path: Path, call: str) -> None:
    """Whichever system call it dies at, the next recovery completes it without duplicates."""
    text = """
        import sys
        from pathlib import Path
        from otel_ext.journal.recovery.recover import recover
        recover(Path(sys.argv[1]))
    """
    killed = 0
    for number in range(1, 6):
        folder = tmp_path / str(number)
        die(folder, count=5)
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", inject, *program(text, folder)],
            check=False,
            capture_output=True,
        )
        killed += done.returncode != 0
        recover(folder)
        check(folder, 6)
        if done.returncode == 0:
            break
    assert killed


def test_the_next_program_recovers_by_itself(tmp_path: Path) -> None:
    """A journal opened in the same folder ends the spans of dead processes meanwhile."""
    for _ in range(2):
        die(tmp_path)
    journal = Journal(tmp_path, alone(recover_on_start=True))
    journal.append(line(1))

    def done() -> bool:
        journal.drain()
        return len(list((tmp_path / RING_FOLDER).glob("*"))) == 1

    assert becomes_true(done, 20.0)
    assert journal.close()
    check(tmp_path, 8)
