"""The persistent queue: whole requests, bounded, private, and taken over once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_ext.exporters.delivery.persistent.entries import encode_entry, entries_in
from otel_ext.exporters.delivery.persistent.files import QueueFileName, list_files
from otel_ext.exporters.delivery.persistent.queue import PersistentQueue
from otel_ext.exporters.delivery.splitting import Delivery
from otel_ext.protocols import Request, SendResult
from otel_ext.runtime.process.incarnation import current
from tests.exporters.samples import Counted
from tests.resilient.destination import LineSender, decoded, final, finals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_ext.record.model import Record

SENDER = LineSender("http://127.0.0.1:9/")
SENT = Delivery(SendResult(ok=True))


def queue_in(folder: Path, name: str = "x", max_bytes: int = 64 * 1024 * 1024) -> PersistentQueue:
    """Return a queue in a folder of records."""
    return PersistentQueue(SENDER, name, folder, max_bytes)


def append(queue: PersistentQueue, records: Sequence[Record]) -> bool:
    """Write records as one request."""
    request = SENDER.encode("", records)
    assert request is not None
    return queue.append([request], is_final=True)


def all_of(queue: PersistentQueue) -> list[str]:
    """Remove all records and return their names."""
    names: list[str] = []
    while (waiting := queue.next()) is not None:
        request = waiting.request
        names += [record.name for record in decoded(request.body, request.records)]
        queue.finish(waiting, SENT, 0)
    return names


def test_requests_come_out_in_order(tmp_path: Path) -> None:
    """Batches in several files come out in the order of writing, and no file is left."""
    queue = queue_in(tmp_path)
    for part in range(6):
        assert append(queue, [final(f"{part}-{n}", n + 1, text="t" * 800) for n in range(512)])
    assert len(list_files(tmp_path / ".queue")) > 1
    assert queue.waiting == 6 * 512
    assert all_of(queue) == [f"{part}-{n}" for part in range(6) for n in range(512)]
    assert not list_files(tmp_path / ".queue")
    assert queue.waiting == 0


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """0700 and 0600, whatever the umask; a file has requests as they are sent."""
    old = os.umask(0)
    try:
        queue = queue_in(tmp_path / "new")
        append(queue, finals(2))
    finally:
        os.umask(old)
    folder = tmp_path / "new" / ".queue"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (entry,) = entries_in(file.read_bytes())
    names = [one.name for one in decoded(entry.request.body, entry.request.records)]
    assert (names, entry.is_final) == (["span 0", "span 1"], True)


def test_a_link_instead_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written to its target; the batch is refused, not lost."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".queue").symlink_to(elsewhere)
    queue = queue_in(tmp_path)
    assert not append(queue, finals(1))
    assert not list(elsewhere.iterdir())


def test_a_file_replaced_by_a_link_or_a_pipe_is_not_used(tmp_path: Path) -> None:
    """The replacement is not written to, and opening it does not block."""
    target = tmp_path / "target"
    target.write_text("precious")
    for put in ("link", "pipe", "second name"):
        queue = queue_in(tmp_path / put)
        append(queue, finals(1))
        (file,) = (tmp_path / put / ".queue").iterdir()
        file.unlink()
        if put == "link":
            file.symlink_to(target)
        elif put == "pipe":
            os.mkfifo(file)
        else:
            file.hardlink_to(target)
        assert not append(queue, finals(1))
        assert target.read_text() == "precious"


def test_an_unreadable_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """They are sent; it stays, and is read once that is possible."""
    queue = queue_in(tmp_path)
    append(queue, [final("first")])
    queue.close_current()
    append(queue, [final("second")])
    first, _ = list_files(tmp_path / ".queue")
    (tmp_path / "copy").hardlink_to(tmp_path / ".queue" / first.name.file)
    assert all_of(queue) == ["second"]
    assert queue.next() is None
    assert queue.waiting == 1
    (tmp_path / "copy").unlink()
    assert all_of(queue) == ["first"]


@pytest.mark.parametrize("room", [128 * 1024, 4 * 1024 * 1024])
def test_the_oldest_file_is_deleted_if_there_is_no_space(tmp_path: Path, room: int) -> None:
    """The folder stays below its limit; deleted records are counted, the newest are kept."""
    counted = Counted()
    queue = queue_in(tmp_path, max_bytes=room)
    for part in range(40):
        assert append(queue, [final(f"{part}", n + 1, text="t" * 1000) for n in range(400)])
        assert sum(one.size for one in list_files(tmp_path / ".queue")) <= room
    names = all_of(queue)
    assert counted("remote.persisted_evicted") == 40 * 400 - len(names)
    assert names[-1] == "39"
    assert "0" not in names


def test_damage_affects_only_its_own_requests(tmp_path: Path) -> None:
    """Garbage in the middle and a torn last request are counted; the others come out."""
    queue = queue_in(tmp_path)
    for number in range(5):
        append(queue, finals(10, f"part {number}"))
    (file,) = (tmp_path / ".queue").iterdir()
    whole = file.read_bytes()
    damaged = bytearray(whole)
    second = list(entries_in(whole))[1]
    damaged[second.end - 100 : second.end - 80] = b"\0\xff garbage \n\n garbage"[:20]
    file.write_bytes(bytes(damaged) + whole[:-50])
    queue.close()
    queue = queue_in(tmp_path)
    assert queue.adopt() == 1
    counted = Counted()
    names = all_of(queue)
    kept = [f"part {part} {n}" for part in (0, 2, 3, 4, 0, 1, 2, 3) for n in range(10)]
    assert names == kept
    assert counted("remote.persisted_damaged") == 2
    assert not list_files(tmp_path / ".queue")


HEADS = (
    b'{"otel_ext_request":1,"signal":"","records":1,"size":-5,"checksum":0}',
    b'{"otel_ext_request":1,"signal":"","records":1,"size":99999999999,"checksum":0}',
    b'{"otel_ext_request":1,"signal":7,"records":1,"size":1,"checksum":0}',
    b'{"otel_ext_request":',
    b'{"otel_ext_request":1}',
)


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from(HEADS), max_size=4),
    st.lists(st.tuples(st.binary(max_size=80) | st.sampled_from(HEADS), st.integers(1, 9))),
    st.integers(0, 30),
)
def test_whole_requests_are_found_between_any_bytes(
    garbage: list[bytes], requests: list[tuple[bytes, int]], cut: int
) -> None:
    """Each whole one is found as it was written; half of one is not."""
    wanted = [Request("spans", body, records) for body, records in requests]
    entries = [encode_entry(request, is_final=True) for request in wanted]
    for between in [b"", *(one + b"\n" for one in garbage)]:
        found = list(entries_in(b"".join(between + entry for entry in entries) + between))
        assert [one.request for one in found] == wanted
    torn = encode_entry(Request("logs", b"torn" * 9, 1), is_final=False)[: -1 - cut]
    assert [one.request for one in entries_in(b"".join(entries) + torn)] == wanted


def test_small_requests_are_sent_together(tmp_path: Path) -> None:
    """After a long outage of a quiet program: up to 512 records at once, of one kind."""
    queue = queue_in(tmp_path)
    for number in range(1_000):
        append(queue, [final(f"{number}", number + 1)])
    log = SENDER.encode("", [final("log")._replace(kind="log", phase=None)])
    assert log is not None
    queue.append([log], is_final=False)
    append(queue, finals(512))
    sizes: list[tuple[int, bool]] = []
    names: list[str] = []
    while (waiting := queue.next()) is not None:
        sizes.append((waiting.request.records, waiting.is_final))
        names += [one.name for one in decoded(waiting.request.body, waiting.request.records)]
        queue.finish(waiting, SENT, 0)
    assert sizes == [(512, True), (488, True), (1, False), (512, True)]
    assert names[:1_000] == [f"{number}" for number in range(1_000)]


def test_requests_that_cannot_be_joined_are_sent_alone(tmp_path: Path) -> None:
    """Such as those of another version."""
    queue = queue_in(tmp_path)
    append(queue, finals(3))
    queue.append([Request("", b"?", 2)], is_final=True)
    append(queue, finals(3))
    sizes: list[int] = []
    while (waiting := queue.next()) is not None:
        sizes.append(waiting.request.records)
        queue.finish(waiting, SENT, 0)
    assert sizes == [3, 2, 3]


def test_a_request_that_is_too_large_is_halved(tmp_path: Path) -> None:
    """A small folder takes a large batch in parts, each of which can be sent alone."""
    queue = queue_in(tmp_path, max_bytes=400 * 1024)
    assert append(queue, [final(f"{n}", n + 1, text="t" * 1_000) for n in range(100)])
    assert queue.waiting == 100
    waiting = queue.next()
    assert waiting is not None
    assert waiting.request.records == 50
    assert all_of(queue) == [f"{n}" for n in range(100)]


def test_a_deleted_file_is_followed_by_another(tmp_path: Path) -> None:
    """Deleted records are gone; later ones are kept."""
    queue = queue_in(tmp_path)
    append(queue, finals(1, "gone"))
    for file in (tmp_path / ".queue").iterdir():
        file.unlink()
    assert append(queue, finals(1, "there"))
    assert all_of(queue) == ["there 0"]


DISK_FULL = """
import resource, sys
from pathlib import Path
from tests.resilient.destination import finals
from tests.resilient.test_persistent_queue import append, queue_in
queue = queue_in(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
batches = 0
while append(queue, finals(100)):
    batches += 1
print(batches)
"""


def test_a_full_disk_refuses_a_batch_as_a_whole(tmp_path: Path) -> None:
    """A write that fails half-way leaves no part of a batch."""
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    batches = int(done.stdout)
    assert batches > 0
    assert "cannot be kept" in done.stderr
    queue = queue_in(tmp_path)
    assert queue.adopt() == 1
    assert len(all_of(queue)) == batches * 100


LEAVING = """
import sys
from pathlib import Path
from tests.resilient.destination import finals
from tests.resilient.test_persistent_queue import append, queue_in
queue = queue_in(Path(sys.argv[1]))
append(queue, finals(int(sys.argv[2]), sys.argv[3]))
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
    for number in range(5):
        leave(tmp_path, 10, f"dead{number}")
    takers = [queue_in(tmp_path) for _ in range(4)]
    other = queue_in(tmp_path, "y")
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
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVING, str(tmp_path), "3", "alive", "stay"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        first, second = queue_in(tmp_path), queue_in(tmp_path)
        append(first, finals(1, "mine"))
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
    leave(tmp_path, 4, "begun")
    (found,) = list_files(folder)
    (folder / found.name.file).rename(folder / found.name._replace(begun=True).file)
    counted = Counted()
    assert queue_in(tmp_path).adopt() == 1
    assert counted("remote.maybe_twice") == counted("remote.persisted_adopted") == 4


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Files with other names are neither read nor deleted."""
    folder = tmp_path / ".queue"
    queue = queue_in(tmp_path)
    append(queue, finals(1))
    (folder / "notes.requests").write_text("mine")
    (folder / "x.1.b0-7-1-00000000.1.jsonl").write_text("mine")
    (folder / "x.1.b0-7-1-00000000.1.requests.bak").write_text("mine")
    assert len(list_files(folder)) == 1
    assert QueueFileName.parse("x.1.../etc.1.requests") is None
    assert QueueFileName.parse(f"x.1.{current().id}.1.requests") is not None
