"""A journal after the exit of its program: drained, without ring buffer, taking lines."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.journal.write.exit import PostExitJournal
from otel_ext.runtime.worker import Worker
from tests.journal.builders import ALONE, alone, line, seqs_in
from tests.programs import in_child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_ext.journal.settings import Durability

MODES: tuple[Durability, ...] = ("mapped", "queued", "write")


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Return a worker of the test's own, stopped at its end."""
    made = Worker("post-exit-test-worker")
    yield made
    made.stop(timeout=5)


def last_line() -> list[bytes]:
    """Return the line that closes the files of these tests."""
    return [line(0, name="end")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("named", [False, True])
def test_lines_after_the_exit_are_in_the_file_at_once(
    tmp_path: Path, worker: Worker, mode: Durability, *, named: bool
) -> None:
    """Each is in the same file, followed by the last line; no ring buffer is left."""
    journal = PostExitJournal(
        tmp_path / "records.jsonl" if named else tmp_path,
        alone(durability=mode),
        last_lines=last_line,
        worker=worker,
    )
    journal.append(line(1))
    assert journal.close_for_exit()
    assert seqs_in(tmp_path) == [1, 0]
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
    assert journal.append(line(2))
    assert seqs_in(tmp_path) == [1, 0, 2, 0]
    assert journal.close_for_exit()
    assert journal.flush()
    assert seqs_in(tmp_path) == [1, 0, 2, 0]
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
    assert journal.close()
    assert not journal.append(line(3))


def test_a_journal_that_was_not_opened_creates_nothing_before_a_line(tmp_path: Path) -> None:
    """The first line creates the file, with its first lines, and no ring buffer."""
    folder = tmp_path / "traces"
    journal = PostExitJournal(
        folder, ALONE, first_lines=lambda: [line(9, name="head")], last_lines=last_line
    )
    assert journal.close_for_exit()
    assert not folder.exists()
    assert journal.append(line(1))
    assert seqs_in(folder) == [9, 1, 0]
    assert not (folder / RING_FOLDER).exists()


def test_threads_that_append_meanwhile_lose_nothing(tmp_path: Path, worker: Worker) -> None:
    """Lines appended while the ring buffer is drained and removed are in the file once."""
    journal = PostExitJournal(tmp_path, ALONE, worker=worker)
    taken: list[int] = []
    stop = threading.Event()

    def append(first: int) -> None:
        number = first
        while not stop.is_set():
            if journal.append(line(number)):
                taken.append(number)
            number += 4

    threads = [threading.Thread(target=append, args=(first,)) for first in range(1, 5)]
    for thread in threads:
        thread.start()
    while len(taken) < 2_000:
        stop.wait(0.001)
    done = journal.close_for_exit(20.0)
    after = len(taken)
    while len(taken) < after + 200:
        stop.wait(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    assert done
    assert sorted(seqs_in(tmp_path)) == sorted(taken)
    assert len(taken) == len(set(taken))
    assert not (tmp_path / RING_FOLDER).exists()


def test_a_ring_buffer_that_cannot_be_drained_stays_and_takes_the_later_lines(
    tmp_path: Path,
) -> None:
    """On a disk that hangs the exit waits once; later lines stay in the ring buffer."""
    journal = PostExitJournal(tmp_path / "traces", ALONE, last_lines=last_line)
    journal.append(line(1))
    assert journal._draining.acquire()  # noqa: SLF001 - as a thread that hangs in a write
    assert not journal.close_for_exit(0.05)
    assert journal.append(line(2))
    assert not list((tmp_path / "traces").glob("*.jsonl"))
    journal._draining.release()  # noqa: SLF001 - it hangs no more
    assert journal.drain()
    assert seqs_in(tmp_path / "traces") == [1, 0, 2, 0]
    assert not (tmp_path / "traces" / RING_FOLDER).exists()
    assert journal.append(line(3))
    assert seqs_in(tmp_path / "traces") == [1, 0, 2, 0, 3, 0]


@pytest.mark.forks
def test_a_child_forked_by_an_exit_handler_has_a_file_of_its_own(tmp_path: Path) -> None:
    """The child also writes each line at once."""
    journal = PostExitJournal(tmp_path, ALONE, last_lines=last_line)
    journal.append(line(1))
    assert journal.close_for_exit()
    assert in_child(lambda: journal.append(line(2))) == "True"
    assert journal.append(line(3))
    assert sorted(seqs_in(tmp_path)) == [0, 0, 0, 1, 2, 3]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert not (tmp_path / RING_FOLDER).exists()
