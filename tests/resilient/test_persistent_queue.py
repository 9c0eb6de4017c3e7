"""The persistent queue: whole lines, bounded, private, and taken over once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from otel_ext.exporters.delivery.persistent.files import QueueFileName, list_files
from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from otel_ext.record.decode import decode_line
from otel_ext.runtime.counters import COUNTERS
from otel_ext.runtime.process.incarnation import current
from tests.resilient.destination import final, finals

MAX_BYTES = 64 * 1024 * 1024


def all_of(persistent_queue: PersistentQueue) -> list[str]:
    """Remove all records and return their names."""
    names: list[str] = []
    while (chunk := persistent_queue.next_chunk()) is not None:
        names += [record.name for record in chunk.records]
        persistent_queue.done(chunk)
    return names


def test_records_come_out_in_order(tmp_path: Path) -> None:
    """Batches in several files come out in the order of writing, and no file is left."""
    persistent_queue = PersistentQueue(tmp_path / ".queue", "x", MAX_BYTES)
    for part in range(6):
        assert persistent_queue.append(
            [final(f"{part}-{n}", n + 1, text="t" * 800) for n in range(512)]
        )
    assert len(list_files(tmp_path / ".queue")) > 1
    assert persistent_queue.waiting == 6 * 512
    assert all_of(persistent_queue) == [f"{part}-{n}" for part in range(6) for n in range(512)]
    assert not list_files(tmp_path / ".queue")
    assert persistent_queue.waiting == 0


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """0700 and 0600, whatever the umask; the lines are plain records."""
    old = os.umask(0)
    try:
        persistent_queue = PersistentQueue(tmp_path / "new" / ".queue", "x", MAX_BYTES)
        persistent_queue.append(finals(2))
    finally:
        os.umask(old)
    folder = tmp_path / "new" / ".queue"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    records = [decode_line(line) for line in file.read_bytes().splitlines()]
    assert [record.event for record in records] == ["process.start", "span 0.end", "span 1.end"]


def test_a_link_instead_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written to its target; the batch is refused, not lost."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".queue").symlink_to(elsewhere)
    persistent_queue = PersistentQueue(tmp_path / ".queue", "x", MAX_BYTES)
    assert not persistent_queue.append(finals(1))
    assert not list(elsewhere.iterdir())


def test_a_file_replaced_by_a_link_or_a_pipe_is_not_used(tmp_path: Path) -> None:
    """The replacement is not written to, and opening it does not block."""
    target = tmp_path / "target"
    target.write_text("precious")
    for put in ("link", "pipe", "second name"):
        persistent_queue = PersistentQueue(tmp_path / put / ".queue", "x", MAX_BYTES)
        persistent_queue.append(finals(1))
        (file,) = (tmp_path / put / ".queue").iterdir()
        file.unlink()
        if put == "link":
            file.symlink_to(target)
        elif put == "pipe":
            os.mkfifo(file)
        else:
            file.hardlink_to(target)
        assert not persistent_queue.append(finals(1))
        assert target.read_text() == "precious"


@pytest.mark.parametrize("room", [128 * 1024, 4 * 1024 * 1024])
def test_the_oldest_file_is_deleted_if_there_is_no_space(tmp_path: Path, room: int) -> None:
    """The folder stays below its limit; deleted records are counted, the newest are kept."""
    before = COUNTERS.value("remote.persisted_evicted")
    persistent_queue = PersistentQueue(tmp_path / ".queue", "x", room)
    for part in range(40):
        assert persistent_queue.append(
            [final(f"{part}", n + 1, text="t" * 1000) for n in range(400)]
        )
        assert sum(one.size for one in list_files(tmp_path / ".queue")) <= room
    names = all_of(persistent_queue)
    evicted = COUNTERS.value("remote.persisted_evicted") - before
    # The count includes the facts of processes, a line in each file.
    files = 40 * 400 * 1_200 // min(room // 4, 1024 * 1024) * 2
    assert 40 * 400 - len(names) <= evicted <= 40 * 400 - len(names) + files
    assert names[-1] == "39"
    assert "0" not in names


def test_damage_affects_only_its_own_lines(tmp_path: Path) -> None:
    """Garbage in the middle and a torn last line are counted; the others come out."""
    persistent_queue = PersistentQueue(tmp_path / ".queue", "x", MAX_BYTES)
    persistent_queue.append(finals(10))
    (file,) = (tmp_path / ".queue").iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    lines[3] = b"\0\0garbage\xff\n"
    file.write_bytes(b"".join(lines) + b'{"__tracer_meta__":{"times')
    assert len(all_of(persistent_queue)) == 9
    assert not list_files(tmp_path / ".queue")


def test_a_deleted_file_is_followed_by_another(tmp_path: Path) -> None:
    """Deleted records are gone; later ones are kept, with the facts of their process."""
    persistent_queue = PersistentQueue(tmp_path / ".queue", "x", MAX_BYTES)
    persistent_queue.append(finals(1, "gone"))
    for file in (tmp_path / ".queue").iterdir():
        file.unlink()
    assert persistent_queue.append(finals(1, "there"))
    chunk = persistent_queue.next_chunk()
    assert chunk is not None
    assert [record.name for record in chunk.records] == ["there 0"]
    assert chunk.records[0].process.resource == {"service.name": "shop"}


DISK_FULL = """
import resource, sys
from pathlib import Path
from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from tests.resilient.destination import finals
queue = PersistentQueue(Path(sys.argv[1]), "x", 1 << 26)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
batches = 0
while queue.append(finals(100)):
    batches += 1
print(batches)
"""


def test_a_full_disk_refuses_a_batch_as_a_whole(tmp_path: Path) -> None:
    """A write that fails half-way leaves no part of a batch."""
    folder = tmp_path / ".queue"
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    batches = int(done.stdout)
    assert batches > 0
    assert "cannot be kept" in done.stderr
    persistent_queue = PersistentQueue(folder, "x", MAX_BYTES)
    assert persistent_queue.adopt() == 1
    assert len(all_of(persistent_queue)) == batches * 100


LEAVING = """
import sys
from pathlib import Path
from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from tests.resilient.destination import finals
queue = PersistentQueue(Path(sys.argv[1]), "x", 1 << 26)
queue.append(finals(int(sys.argv[2]), sys.argv[3]))
if len(sys.argv) > 4:
    print("ready", flush=True)
    sys.stdin.read()
"""


def leave(folder: Path, count: int, name: str) -> None:
    """Let another process leave records in a folder."""
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", LEAVING, str(folder), str(count), name], cwd=root, check=True
    )


def test_files_of_a_dead_process_are_taken_over_once(tmp_path: Path) -> None:
    """Of several queues at once only one gets a file; files of other destinations stay."""
    folder = tmp_path / ".queue"
    for number in range(5):
        leave(folder, 10, f"dead{number}")
    takers = [PersistentQueue(folder, "x", MAX_BYTES) for _ in range(4)]
    other = PersistentQueue(folder, "y", MAX_BYTES)
    threads = [threading.Thread(target=taker.adopt) for taker in [*takers, other]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [name for taker in takers for name in all_of(taker)]
    assert sorted(names) == sorted(f"dead{d} {n}" for d in range(5) for n in range(10))
    assert not all_of(other)


def test_files_of_a_living_process_are_not_taken_over(tmp_path: Path) -> None:
    """Nor those of another exporter of the same process, until it is closed."""
    folder = tmp_path / ".queue"
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVING, str(folder), "3", "alive", "stay"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        first, second = (
            PersistentQueue(folder, "x", MAX_BYTES),
            PersistentQueue(folder, "x", MAX_BYTES),
        )
        first.append(finals(1, "mine"))
        assert second.adopt() == 0
        first.close()
        assert second.adopt() == 1
        assert all_of(second) == ["mine 0"]
        process.stdin.close()
    assert second.adopt() == 1
    assert all_of(second) == ["alive 0", "alive 1", "alive 2"]


def test_a_file_sent_in_part_is_counted_as_maybe_twice(tmp_path: Path) -> None:
    """If a process died while it sent a file, some of its records may have arrived."""
    folder = tmp_path / ".queue"
    leave(folder, 4, "begun")
    (found,) = list_files(folder)
    (folder / found.name.file).rename(folder / found.name._replace(begun=True).file)
    before = COUNTERS.value("remote.maybe_twice")
    persistent_queue = PersistentQueue(folder, "x", MAX_BYTES)
    assert persistent_queue.adopt() == 1
    assert COUNTERS.value("remote.maybe_twice") - before >= 4


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Files with other names are neither read nor deleted."""
    folder = tmp_path / ".queue"
    persistent_queue = PersistentQueue(folder, "x", 4 * 1024 * 1024)
    persistent_queue.append(finals(1))
    (folder / "notes.jsonl").write_text("mine")
    (folder / "x.1.b0-7-1-00000000.1.jsonl.bak").write_text("mine")
    assert len(list_files(folder)) == 1
    assert QueueFileName.parse("x.1.../etc.1.jsonl") is None
    assert QueueFileName.parse(f"x.1.{current().id}.1.jsonl") is not None
