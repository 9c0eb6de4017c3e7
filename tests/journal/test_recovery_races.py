"""Recoveries at the same time, beside living processes, and killed halfway."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from otel_ext.errors import JournalError
from otel_ext.journal import files
from otel_ext.journal.recovery.housekeeping import FolderWatch
from otel_ext.journal.recovery.locking import incarnation_lock
from otel_ext.journal.recovery.recover import RecoveryReport, recover, recover_one
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write.journal import Journal
from otel_ext.runtime.process.incarnation import current
from tests.journal.builders import alone, line, lines_in, program, running
from tests.journal.killed import die
from tests.programs import becomes_true

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


@pytest.mark.parametrize("of", ["ring", "segment"])
def test_what_cannot_be_opened_is_recovered_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """Without a free descriptor nothing is written or removed; the next recovery does it."""
    dead = die(tmp_path)
    if of == "segment":
        (tmp_path / f"{dead.id}.jsonl").touch()
    suffix = {"ring": ".ring", "segment": ".jsonl"}[of]
    before = [path.read_bytes() for path in sorted(tmp_path.rglob(f"{dead.id}*"))]
    real = os.open

    def no_descriptor(
        path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if str(path).endswith(suffix) and not flags & os.O_ACCMODE:  # to read
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", no_descriptor)
    report = recover(tmp_path)
    monkeypatch.undo()
    assert len(report.failed) == 1
    assert [path.read_bytes() for path in sorted(tmp_path.rglob(f"{dead.id}*"))] == before
    assert recover(tmp_path).spans == 4
    check(tmp_path, 4)


def unlistable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let no folder of that path be listed: there is no free descriptor for it."""
    real = os.listdir

    def no_descriptor(path: str | Path) -> list[str]:
        if Path(path) == folder:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path)

    monkeypatch.setattr(os, "listdir", no_descriptor)


@pytest.mark.parametrize("name", ["", RING_FOLDER])
def test_what_cannot_be_listed_is_recovered_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A folder that cannot be read is not an empty one: nothing is written or removed."""
    dead = die(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob(f"{dead.id}*")}
    unlistable(monkeypatch, tmp_path / name)
    assert len(recover_one(tmp_path, dead.id).failed) == 1
    with pytest.raises(JournalError, match="cannot be read: Too many open files"):
        recover(tmp_path)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in tmp_path.rglob(f"{dead.id}*")} == before
    assert recover(tmp_path).spans == 4
    check(tmp_path, 4)


@pytest.mark.parametrize("name", ["", RING_FOLDER])
def test_a_watch_lists_again_what_it_could_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Although the folder does not change meanwhile."""
    die(tmp_path)
    watch = FolderWatch(tmp_path, current().id)
    unlistable(monkeypatch, tmp_path / name)
    watch.check()
    monkeypatch.undo()

    def done() -> bool:
        watch.check()
        return not (tmp_path / RING_FOLDER).exists()

    assert becomes_true(done, 20.0)
    check(tmp_path, 4)


def test_the_folder_of_the_lock_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another recovery removes the empty folder as its last step, when this one has opened it."""
    first, second = die(tmp_path, "write"), die(tmp_path, "write")
    others: list[RecoveryReport] = []

    def open_folder(path: Path, *, create: bool = False) -> int:
        descriptor = files.open_folder(path, create=create)
        monkeypatch.undo()
        others.append(recover_one(tmp_path, second.id))
        return descriptor

    monkeypatch.setattr("otel_ext.journal.recovery.locking.open_folder", open_folder)
    report = recover_one(tmp_path, first.id)
    assert [report.failed, report.spans, others[0].spans] == [[], 4, 4]
    check(tmp_path, 8)


def test_lines_are_synced_before_the_ring_buffer_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also lines of a recovery that died after it had written them."""
    die(tmp_path)
    calls: list[str] = []

    def die_here(_: int) -> None:
        raise KeyboardInterrupt  # no step of the recovery follows, as after a kill

    sync_data = "otel_ext.journal.write.segment.sync_data"
    monkeypatch.setattr(sync_data, die_here)
    with pytest.raises(KeyboardInterrupt):
        recover(tmp_path)
    real_unlink = os.unlink

    def sync(descriptor: int) -> None:
        calls.append("sync")
        files.sync_data(descriptor)

    def unlink(path: str | Path, *, dir_fd: int | None = None) -> None:
        calls.append("unlink")
        real_unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(sync_data, sync)
    monkeypatch.setattr(os, "unlink", unlink)
    assert not recover(tmp_path).failed
    assert calls[:2] == ["sync", "unlink"]
    check(tmp_path, 4)
