"""The lines that close a file have room in a full ring buffer, and on a full disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from otel_ext.cli.runner.record_count import count_records
from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.write.buffers import QueueBuffer
from otel_ext.journal.write.journal import Journal
from otel_ext.journal.write.reserve import Reserve
from otel_ext.runtime.counters import BUFFER_PEAK, COUNTERS
from tests.journal.builders import KIB, alone, collect, line, make_ring, run, seqs_in

if TYPE_CHECKING:
    from pathlib import Path

    from otel_ext.journal.write.ring_buffer import RingBuffer


def fill(ring: RingBuffer) -> int:
    """Fill a ring buffer to its last byte; return how many lines it took."""
    number = 0
    while ring.append(line(number, name="x" * 200)):
        number += 1
    while ring.append(line(number)):
        number += 1
    return number


def test_a_full_ring_buffer_takes_the_last_lines(tmp_path: Path) -> None:
    """They are stored in its header; readers see them after all others until drained."""
    ring = make_ring(tmp_path, size=256 * KIB)
    count = fill(ring)
    last = [line(count + 1, name="process.end"), line(count + 2, name="process.end")]
    dropped = COUNTERS.value("dropped.queue_full")
    ring.append_last(last)
    assert COUNTERS.value("dropped.queue_full") == dropped
    found = read_ring(ring.path)
    assert not found.skipped
    assert [one.data + b"\n" for one in found.lines[-2:]] == last
    assert len(found.lines) == count + 2
    assert count_records([], [found]).waiting == count + 2
    assert ring.pending >= sum(map(len, last))
    assert collect(ring).endswith(b"".join(last))
    assert len(read_ring(ring.path).lines) < count
    assert ring.pending == 0
    ring.close(remove=True)


def test_last_lines_go_with_the_others_where_there_is_room(tmp_path: Path) -> None:
    """The header takes them only if the chunks are full."""
    ring = make_ring(tmp_path, size=256 * KIB)
    ring.append(line(1))
    ring.append_last([line(2), line(3)])
    offsets = [one.offset for one in read_ring(ring.path).lines]
    assert min(offsets) >= 4 * KIB
    assert collect(ring) == b"".join(map(line, (1, 2, 3)))
    ring.close(remove=True)


def test_what_has_no_room_in_the_header_is_counted(tmp_path: Path) -> None:
    """Of many last lines as many as have room are stored, whole; the rest is counted."""
    ring = make_ring(tmp_path, size=256 * KIB)
    count = fill(ring)
    dropped = COUNTERS.value("dropped.queue_full")
    ring.append_last([line(count + n, name="e" * 300) for n in range(9)])
    lost = COUNTERS.value("dropped.queue_full") - dropped
    assert 0 < lost < 9
    assert len(read_ring(ring.path).lines) == count + 9 - lost
    ring.close(remove=True)


def test_the_fullest_moment_is_known(tmp_path: Path) -> None:
    """A ring buffer and a queue know it in per cent, also after they were drained."""
    ring = make_ring(tmp_path, size=256 * KIB)
    assert ring.peak == 0
    fill(ring)
    collect(ring)
    assert ring.peak in {99, 100}
    ring.close(remove=True)
    queue = QueueBuffer(10_000)
    while queue.append(line(1)):
        pass
    assert queue.drain(len)
    assert queue.peak > 90


def test_a_queue_takes_the_last_lines_beyond_its_limit(tmp_path: Path) -> None:
    """On a disk that is slow but not full, they follow the waiting lines."""
    count = 0
    settings = alone(durability="queued", ring_size=10_000)
    journal = Journal(tmp_path, settings, last_lines=lambda: [line(count + 1)])
    while journal.append(line(count)):
        count += 1
    journal.append_last()
    assert journal.close()
    assert seqs_in(tmp_path) == [*range(count), count + 1]
    assert COUNTERS.value(BUFFER_PEAK) > 90


def test_room_is_given_back_though_a_child_has_the_file_open(tmp_path: Path) -> None:
    """A release frees the blocks at once, though a copy of the descriptor is open."""
    reserve = Reserve()
    reserve.keep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    copy = os.dup(reserve._descriptor)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        assert os.fstat(copy).st_blocks > 0
        reserve.release()
        assert os.fstat(copy).st_blocks == 0
    finally:
        os.close(copy)
    reserve.release()
    assert not reserve.is_kept


def test_a_descriptor_that_now_belongs_to_another_file_is_not_changed(tmp_path: Path) -> None:
    """After a daemon closed all descriptors, a file with the same number is not emptied."""
    text = """
    import os, sys
    from pathlib import Path
    from otel_ext.journal.write.reserve import Reserve
    reserve = Reserve()
    reserve.keep(Path(sys.argv[1]))
    os.closerange(3, 64)
    descriptor = os.open(sys.argv[1] + "/theirs", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"data")
    reserve.release()
    print(os.fstat(descriptor).st_size)
    """
    assert run(text, tmp_path) == "4\n"


def test_a_child_leaves_the_room_to_its_parent(tmp_path: Path) -> None:
    """The child reserves its own blocks; the parent's stay until the parent closes."""
    text = """
    import os, sys
    from pathlib import Path
    from otel_ext.journal.write.journal import Journal
    from tests.journal.builders import alone, line
    journal = Journal(Path(sys.argv[1]), alone(durability="queued"))
    def held():
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                 if os.path.islink(f"/proc/self/fd/{fd}")]
        return sum("reserve" in link for link in links)
    journal.append(line(1)), journal.flush()
    before = held()
    pid = os.fork()
    if pid == 0:
        journal.append(line(2)), journal.flush()
        os._exit(held())
    _, status = os.waitpid(pid, 0)
    print(before, os.waitstatus_to_exitcode(status), held(), journal.close(), held())
    """
    assert run(text, tmp_path) == "1 1 1 True 0\n"
