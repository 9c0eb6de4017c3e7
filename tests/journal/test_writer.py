"""The journal as a whole: lazy opening, modes, flush, close and health."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.recovery.recover import recover
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write import buffers
from otel_ext.journal.write.journal import Journal
from otel_ext.journal.write.opening import target_of
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.health import health
from otel_ext.runtime.worker import Worker, shared_worker
from tests.journal.builders import ALONE, alone, line, program, run, seqs_in
from tests.programs import becomes_true

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_ext.journal.settings import Durability

MODES: tuple[Durability, ...] = ("mapped", "queued", "write")


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Return a worker of the test's own, stopped at its end."""
    made = Worker("journal-test-worker")
    yield made
    made.stop(timeout=5)


@pytest.mark.parametrize("mode", MODES)
def test_lines_reach_the_file(tmp_path: Path, mode: Durability) -> None:
    """In every mode the lines are in the file after a flush, after the first lines."""
    journal = Journal(tmp_path, alone(durability=mode), first_lines=lambda: [line(0, name="head")])
    assert journal.state().mode == "unopened"
    assert all(journal.append(line(number)) for number in range(1, 1001))
    assert journal.flush(5_000)
    assert seqs_in(tmp_path) == list(range(1001))
    assert journal.state().mode == mode
    assert journal.close()
    assert journal.state().mode == "closed"


@pytest.mark.parametrize("mode", MODES)
def test_closing_in_order_leaves_only_the_segment(tmp_path: Path, mode: Durability) -> None:
    """No ring buffer and no empty folder stay; closing is idempotent; later lines are counted."""
    before = COUNTERS.value("dropped.closed")
    journal = Journal(tmp_path, alone(durability=mode))
    journal.append(line(1))
    assert journal.close()
    assert journal.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
    assert not journal.append(line(2))
    assert COUNTERS.value("dropped.closed") == before + 1


@pytest.mark.parametrize("mode", MODES)
def test_a_drain_after_the_last_one_begins_no_file(tmp_path: Path, mode: Durability) -> None:
    """The worker may drain once more before `close` has cancelled its job."""
    journal = Journal(tmp_path, alone(durability=mode), first_lines=lambda: [line(0)])
    journal.append(line(1))
    assert journal.close()
    assert journal.drain()
    assert [seqs_in(tmp_path), len(list(tmp_path.glob("*.jsonl")))] == [[0, 1], 1]


def test_nothing_is_created_without_a_line(tmp_path: Path, worker: Worker) -> None:
    """A process that records nothing creates no folder, no file and no thread."""
    # By identity: a thread of an earlier test may end meanwhile.
    threads = set(threading.enumerate())
    journal = Journal(tmp_path / "traces", ALONE, worker=worker)
    assert journal.flush()
    assert journal.close()
    assert not (tmp_path / "traces").exists()
    assert set(threading.enumerate()) <= threads


def test_the_worker_drains_by_itself(tmp_path: Path, worker: Worker) -> None:
    """Without a flush a line is in the file soon; one second later the ring buffer is stamped."""
    journal = Journal(tmp_path, ALONE, worker=worker)
    journal.append(line(1))
    assert becomes_true(lambda: seqs_in(tmp_path) == [1], 20.0)
    journal.append(line(2))
    assert becomes_true(lambda: seqs_in(tmp_path) == [1, 2], 20.0)
    assert journal.close()


def test_a_named_file_is_appended_to(tmp_path: Path) -> None:
    """A path that ends in .jsonl is a file; its ring buffer is in the same folder."""
    path = tmp_path / "app.jsonl"
    for number in (1, 2):
        journal = Journal(path, ALONE)
        journal.append(line(number))
        assert [one.name for one in (tmp_path / RING_FOLDER).iterdir()] != []
        assert journal.close()
    assert path.read_bytes() == line(1) + line(2)


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its working directory still writes to the same folder."""
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path("traces"), ALONE)
    monkeypatch.chdir("/")
    journal.append(line(1))
    journal.close()
    assert seqs_in(tmp_path / "traces") == [1]


def test_two_journals_of_one_process_share_a_folder(tmp_path: Path) -> None:
    """Each has its own ring buffer and segment."""
    first, second = Journal(tmp_path, ALONE), Journal(tmp_path, ALONE)
    first.append(line(1))
    second.append(line(2))
    assert len(list((tmp_path / RING_FOLDER).iterdir())) == 2
    assert first.close()
    assert second.close()
    assert sorted(seqs_in(tmp_path)) == [1, 2]


def test_a_line_from_a_signal_handler_during_opening_is_kept(tmp_path: Path) -> None:
    """A handler that records while the first record opens the journal loses nothing."""
    journal = Journal(tmp_path, ALONE)

    def first_lines() -> list[bytes]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return [line(0)]

    def on_signal(_number: int, _frame: object) -> None:
        journal.append(line(2))

    before = signal.signal(signal.SIGUSR1, on_signal)
    journal._first_lines = first_lines  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        assert journal.append(line(1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert journal.close()
    assert sorted(seqs_in(tmp_path)) == [0, 1, 2]


def test_many_threads_at_the_first_record(tmp_path: Path) -> None:
    """Threads that append at first wait for one opening; none loses its line."""
    journal = Journal(tmp_path, ALONE)
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        assert journal.append(line(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.close()
    assert sorted(seqs_in(tmp_path)) == list(range(8))
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_first_lines_that_fail_do_not_stop_records(tmp_path: Path) -> None:
    """Only the first lines are lost, not the records."""

    def first_lines() -> list[bytes]:
        raise RuntimeError("no first lines")

    journal = Journal(tmp_path, ALONE, first_lines=first_lines)
    assert journal.append(line(1))
    assert journal.close()
    assert seqs_in(tmp_path) == [1]


def test_a_full_queue_refuses_and_counts(tmp_path: Path) -> None:
    """Memory is bounded: a line without room is refused, and all are accounted for."""
    before = COUNTERS.snapshot()
    settings = alone(durability="queued", ring_size=20_000)
    journal = Journal(tmp_path, settings)
    taken = sum(journal.append(line(number)) for number in range(1_000))
    assert 0 < taken < 1_000
    assert journal.flush()
    assert journal.append(line(1_000)), "room again"
    assert journal.close()
    after = COUNTERS.snapshot()
    assert after["written"] - before.get("written", 0) == taken + 1 == len(seqs_in(tmp_path))
    lost = after["dropped.queue_full"] - before.get("dropped.queue_full", 0)
    assert taken + lost == 1_000


def test_flush_and_close_give_up_in_time(tmp_path: Path, worker: Worker) -> None:
    """If the disk hangs, flush and close return at their timeout and the ring buffer stays."""
    journal = Journal(tmp_path, ALONE, worker=worker)
    journal.append(line(1))
    assert journal.flush(5_000)
    hang = threading.Event()
    opened = journal._opened  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert opened is not None

    def hangs(lines: memoryview | bytes) -> int:
        del lines
        hang.wait(20)
        return 0

    opened.segment.write = hangs  # type: ignore[method-assign]
    journal.append(line(2))
    began = time.monotonic()
    assert not journal.flush(200)
    assert not journal.close(timeout=0.3)
    assert time.monotonic() - began < 10
    hang.set()
    assert len(list((tmp_path / RING_FOLDER).iterdir())) == 1


def test_a_rotation_by_the_worker_repeats_the_first_lines(tmp_path: Path) -> None:
    """Each further file begins with the first lines."""
    settings = alone(segment_size=64 * 1024)
    journal = Journal(tmp_path, settings, first_lines=lambda: [line(0, name="head")])
    for number in range(1, 2_001):
        journal.append(line(number))
        if number % 100 == 0:
            journal.drain()
    assert journal.close()
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) > 3
    assert all(path.read_bytes().startswith(line(0, name="head")) for path in files)
    assert sorted(set(seqs_in(tmp_path))) == list(range(2_001))


def test_a_folder_that_is_removed_comes_back(tmp_path: Path) -> None:
    """After `rm -r` of all records the process continues in a new folder and ring buffer."""
    folder = tmp_path / "traces"
    journal = Journal(folder, ALONE, first_lines=lambda: [line(0, name="head")])
    journal.append(line(1))
    assert journal.flush()
    stale = journal.append
    shutil.rmtree(folder)

    def is_back() -> bool:
        journal.drain()
        return len(list((folder / RING_FOLDER).glob("*.ring"))) == 1

    assert becomes_true(is_back, 20.0)
    assert journal.append(line(2))
    assert stale(line(3)), "a caller that holds the old ring buffer finds the new one"
    assert journal.close()
    assert seqs_in(folder) == [0, 2, 3]


@pytest.mark.slow
@pytest.mark.needs("strace")
def test_slow_writes_go_through_the_queue_for_a_while(tmp_path: Path) -> None:
    """In the mode `write`, lines go to the queue after a write beyond 1 s, as the state shows."""
    text = """
        import sys
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from tests.journal.builders import alone, line
        journal = Journal(Path(sys.argv[1]), alone(durability="write"))
        for number in range(3):
            assert journal.append(line(number))
        print(journal.state().problem, "|", journal.state().pending, "|", journal.close())
    """
    inject = ["strace", "-f", "-o", "/dev/null", "-e", "inject=write:delay_enter=1100000"]
    done = subprocess.run(
        [*inject, *program(text, tmp_path)], capture_output=True, text=True, check=True
    )
    problem, pending, closed = done.stdout.split("|")
    assert "more than 1 s" in problem
    assert int(pending) == len(line(1)) + len(line(2))
    assert closed.strip() == "True"
    assert seqs_in(tmp_path) == [0, 1, 2]
    assert done.stderr.count("more than 1 s") == 1


def test_the_queue_of_a_slow_disk_is_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While records go through the queue, the worker still writes them at its interval."""
    clock = iter((0.0, 1.1))
    monkeypatch.setattr(buffers, "perf_counter", lambda: next(clock))
    settings = alone(durability="write")
    journal = Journal(tmp_path, settings, worker=shared_worker())
    for number in range(3):
        assert journal.append(line(number))
        expected = [*range(number + 1)]
        assert becomes_true(lambda expected=expected: seqs_in(tmp_path) == expected, 20.0)  # type: ignore[misc]
        assert "more than 1 s" in journal.state().problem
    assert journal.close()


def test_health_shows_the_state_of_the_journal(tmp_path: Path) -> None:
    """The part `journal` of `health()` contains the mode."""
    journal = Journal(tmp_path, ALONE)
    journal.append(line(1))
    shown = [(part.state, part.detail) for part in health().parts if part.name == "journal"]
    assert ("healthy", "mapped") in shown
    journal.close()


def test_the_program_ends_at_once_however_it_ends(tmp_path: Path) -> None:
    """A program that never closes still ends, since the worker is a daemon thread."""
    text = """
        import sys
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from otel_ext.runtime.worker import shared_worker
        from tests.journal.builders import ALONE, line
        journal = Journal(Path(sys.argv[1]), ALONE, worker=shared_worker())
        journal.append(line(1))
    """
    began = time.monotonic()
    run(text, tmp_path)
    assert time.monotonic() - began < 20
    assert len(list((tmp_path / RING_FOLDER).iterdir())) == 1


@pytest.mark.needs("strace")
def test_a_disk_that_hangs_blocks_no_caller(tmp_path: Path) -> None:
    """With the worker stuck in the kernel, flush and close return, and the ring buffer stays."""
    text = """
        import sys, time
        from pathlib import Path
        from otel_ext.journal.write.journal import Journal
        from otel_ext.runtime.process.incarnation import current
        from otel_ext.runtime.worker import shared_worker
        from tests.journal.builders import ALONE, line
        journal = Journal(Path(sys.argv[1]), ALONE, worker=shared_worker())
        journal.append(line(1, current().id))
        time.sleep(1.5)
        journal.append(line(2, current().id))
        began = time.monotonic()
        print(journal.flush(300), journal.close(), round(time.monotonic() - began, 1))
    """
    inject = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fdatasync:delay_enter=8000000"]
    done = subprocess.run(
        [*inject, *program(text, tmp_path)], capture_output=True, text=True, check=True, timeout=50
    )
    flushed, closed, seconds = done.stdout.split()
    assert (flushed, closed) == ("False", "False")
    assert float(seconds) < 7
    report = recover(tmp_path)
    assert [one.lines for one in report.recovered] == [1]
    assert seqs_in(tmp_path)[:2] == [1, 2]


def test_a_folder_created_and_removed_meanwhile_is_never_taken_for_a_file(tmp_path: Path) -> None:
    """Several processes may create and remove a new folder at the same time."""
    folder = tmp_path / "traces"
    done = threading.Event()

    def make_and_remove() -> None:
        while not done.is_set():
            folder.mkdir()
            folder.rmdir()

    thread = threading.Thread(target=make_and_remove)
    thread.start()
    try:
        until = time.monotonic() + 1.0
        found: set[Path] = set()
        while time.monotonic() < until:
            found.add(target_of(folder, "id").folder)
    finally:
        done.set()
        thread.join()
    assert found == {folder}


def test_what_a_path_means(tmp_path: Path) -> None:
    """An existing file or folder decides, else the name."""
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    folders = ("folder.jsonl", "new", "a\0b", "file/below")
    files = ("file", "new.jsonl", "new.json", "file/below.jsonl")
    assert [target_of(tmp_path / name, "id").file for name in folders] == [""] * 4
    assert [target_of(tmp_path / name, "id").folder for name in folders] == [
        tmp_path / name for name in folders
    ]
    assert [target_of(tmp_path / name, "id").file for name in files] == [
        Path(name).name for name in files
    ]
