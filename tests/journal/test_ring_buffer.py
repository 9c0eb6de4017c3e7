"""The ring buffer: what it stores, what it refuses, and what is left after a kill."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.ring_layout import RING_FOLDER
from otel_ext.runtime.counters import COUNTERS
from tests.journal.builders import KIB, collect, line, make_ring, program

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 256 * KIB


def test_lines_are_drained_as_they_were_appended(tmp_path: Path) -> None:
    """Appended lines are drained once, in order, byte for byte."""
    ring = make_ring(tmp_path)
    lines = [line(number) for number in range(100)]
    assert all(ring.append(one) for one in lines)
    assert ring.pending == sum(map(len, lines))
    assert collect(ring) == b"".join(lines)
    assert ring.pending == 0
    assert collect(ring) == b""


def test_the_ring_wraps_around(tmp_path: Path) -> None:
    """Many times its size passes through it without a byte lost or duplicated."""
    ring = make_ring(tmp_path, size=SMALL)
    sent: list[bytes] = []
    received: list[bytes] = []
    for number in range(20_000):
        one = line(number, name="x" * (number % 700))
        assert ring.append(one)
        sent.append(one)
        if number % 150 == 0:
            received.append(collect(ring))
    received.append(collect(ring))
    assert b"".join(received) == b"".join(sent)


def test_a_full_ring_buffer_refuses_and_counts(tmp_path: Path) -> None:
    """Stored lines are never overwritten: a line without room is refused and counted."""
    before = COUNTERS.value("dropped.queue_full")
    ring = make_ring(tmp_path, size=SMALL)
    taken = [one for one in map(line, range(5_000)) if ring.append(one)]
    refused = 5_000 - len(taken)
    assert refused > 0
    assert len(b"".join(taken)) > SMALL - 2 * 4 * KIB
    assert COUNTERS.value("dropped.queue_full") - before == refused
    assert sorted(collect(ring).splitlines()) == sorted(one.strip() for one in taken)
    assert ring.append(line(1)), "room again after draining"


def test_a_sink_that_fails_leaves_the_lines_in_the_ring_buffer(tmp_path: Path) -> None:
    """Neither an error of the file nor a partial write loses a line."""
    ring = make_ring(tmp_path)
    lines = [line(number) for number in range(10)]
    for one in lines:
        ring.append(one)

    def full(_lines: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        ring.drain(full)
    assert not ring.drain(lambda _lines: 0)
    assert collect(ring) == b"".join(lines)


def test_one_line_may_fill_a_chunk(tmp_path: Path) -> None:
    """The longest allowed line fits into a ring buffer of the usual size, several times."""
    ring = make_ring(tmp_path, size=8 * 1024 * KIB)
    long = b'"' + b"x" * (1024 * KIB - 3) + b'"\n'
    assert all(ring.append(long) for _ in range(7))
    assert collect(ring) == long * 7


def test_a_line_longer_than_a_chunk_is_refused(tmp_path: Path) -> None:
    """A ring buffer too small for a line refuses only that line."""
    ring = make_ring(tmp_path, size=SMALL)
    assert ring.append(line(1))
    assert not ring.append(b"x" * SMALL)
    assert ring.append(line(2))
    assert collect(ring) == line(1) + line(2)


def test_a_sealed_ring_buffer_takes_nothing_and_can_be_drained(tmp_path: Path) -> None:
    """Sealing and draining are two steps, so that a line of the last moment is not lost."""
    before = COUNTERS.value("dropped.closed")
    ring = make_ring(tmp_path)
    ring.append(line(1))
    append = ring.append
    ring.seal("closed")
    assert not append(line(2))
    assert COUNTERS.value("dropped.closed") == before + 1
    assert collect(ring) == line(1)
    assert not append(line(3)), "draining does not open it again"


def test_only_this_user_can_read_the_ring_buffer(tmp_path: Path) -> None:
    """The folder is 0700 and the ring buffer 0600, whatever the umask; the size never changes."""
    old = os.umask(0)
    try:
        ring = make_ring(tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(ring.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert ring.path.stat().st_size == ring.facts.size
    assert ring.path.stat().st_blocks * 512 >= ring.facts.size, "all blocks are reserved"


def test_the_header_shows_whose_ring_buffer_it_is(tmp_path: Path) -> None:
    """A reader finds the process, the worker's stamp and the drained offsets."""
    ring = make_ring(tmp_path)
    for number in range(1, 6):
        ring.append(line(number))
    ring.stamp(123, 5, dropped=2)
    found = read_ring(ring.path)
    assert found.facts == ring.facts
    assert found.state is not None
    assert (found.state.stamp_ns, found.state.last_seq) == (123, 5)
    assert found.state.dropped == 2
    assert [one.key for one in found.lines] == [("p", number) for number in range(1, 6)]
    assert not found.skipped
    drained = len(collect(ring))
    again = read_ring(ring.path)
    assert again.state is not None
    assert again.state.drained[0] == found.state.drained[0] + drained


def test_closing_removes_the_ring_buffer_and_its_folder(tmp_path: Path) -> None:
    """A ring buffer drained and closed in order leaves nothing behind."""
    ring = make_ring(tmp_path)
    ring.seal("closed")
    ring.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_ring_buffer_that_cannot_be_created_leaves_nothing(tmp_path: Path) -> None:
    """If there is no room for the ring buffer, its file is removed."""
    with pytest.raises(OSError, match="space|large"):
        make_ring(tmp_path, size=1 << 60)
    assert list((tmp_path / RING_FOLDER).iterdir()) == []


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    """Lines appended before SIGKILL are in the ring buffer, whole, without any drain."""
    text = """
        import os, signal, sys
        from pathlib import Path
        from tests.journal.builders import line, make_ring
        ring = make_ring(Path(sys.argv[1]))
        for number in range(2000):
            assert ring.append(line(number))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(program(text, tmp_path), check=False)
    assert done.returncode == -signal.SIGKILL
    [path] = (tmp_path / RING_FOLDER).iterdir()
    found = read_ring(path)
    assert [one.key[1] for one in found.lines] == list(range(2000))
    assert not found.skipped


@pytest.mark.needs("strace")
def test_appending_makes_no_system_call(tmp_path: Path) -> None:
    """No system call happens between two marks around many appends (strace)."""
    text = """
        import gc, os, sys
        from pathlib import Path
        from tests.journal.builders import line, make_ring
        ring = make_ring(Path(sys.argv[1]))
        lines = [line(number) for number in range(3000)]
        gc.disable()
        os.access("/mark-1", 0)
        for one in lines:
            ring.append(one)
        os.access("/mark-2", 0)
    """
    log = tmp_path / "strace"
    subprocess.run(
        ["strace", "-f", "-o", str(log), *program(text, tmp_path)], check=True, timeout=50
    )
    calls = log.read_text(encoding="utf-8").splitlines()
    first = next(at for at, call in enumerate(calls) if "/mark-1" in call)
    last = next(at for at, call in enumerate(calls) if "/mark-2" in call)
    assert last == first + 1, calls[first : last + 1]
