"""The black box: what is stored in it, what it refuses, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from otel_ext.journal.read.scanner import read_box
from otel_ext.journal.ring_layout import BOX_FOLDER
from otel_ext.runtime.counters import COUNTERS
from tests.journal.making import KIB, collect, line, make_box, program

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 256 * KIB


def test_lines_come_out_as_they_went_in(tmp_path: Path) -> None:
    """What is appended is drained once, in order, byte for byte."""
    box = make_box(tmp_path)
    lines = [line(number) for number in range(100)]
    assert all(box.append(one) for one in lines)
    assert box.pending == sum(map(len, lines))
    assert collect(box) == b"".join(lines)
    assert box.pending == 0
    assert collect(box) == b""


def test_the_ring_goes_round(tmp_path: Path) -> None:
    """Many times the box's size passes through it without a byte lost or doubled."""
    box = make_box(tmp_path, size=SMALL)
    sent: list[bytes] = []
    received: list[bytes] = []
    for number in range(20_000):
        one = line(number, name="x" * (number % 700))
        assert box.append(one)
        sent.append(one)
        if number % 150 == 0:
            received.append(collect(box))
    received.append(collect(box))
    assert b"".join(received) == b"".join(sent)


def test_a_full_box_refuses_and_counts(tmp_path: Path) -> None:
    """What is in the box is never overwritten: what does not fit is refused and counted."""
    before = COUNTERS.value("dropped.queue_full")
    box = make_box(tmp_path, size=SMALL)
    taken = [one for one in map(line, range(5_000)) if box.append(one)]
    refused = 5_000 - len(taken)
    assert refused > 0
    assert len(b"".join(taken)) > SMALL - 2 * 4 * KIB
    assert COUNTERS.value("dropped.queue_full") - before == refused
    assert sorted(collect(box).splitlines()) == sorted(one.strip() for one in taken)
    assert box.append(line(1)), "room again after draining"


def test_a_sink_that_fails_leaves_the_lines_in_the_box(tmp_path: Path) -> None:
    """An error of the file, or a file that takes a part, loses nothing."""
    box = make_box(tmp_path)
    lines = [line(number) for number in range(10)]
    for one in lines:
        box.append(one)

    def full(_lines: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        box.drain(full)
    assert not box.drain(lambda _lines: 0)
    assert collect(box) == b"".join(lines)


def test_one_line_may_fill_a_chunk(tmp_path: Path) -> None:
    """The longest line there is fits into a box of the usual size, several times."""
    box = make_box(tmp_path, size=8 * 1024 * KIB)
    long = b'"' + b"x" * (1024 * KIB - 3) + b'"\n'
    assert all(box.append(long) for _ in range(7))
    assert collect(box) == long * 7


def test_a_line_longer_than_a_chunk_is_refused(tmp_path: Path) -> None:
    """In a box made too small for it, a line is refused and nothing else suffers."""
    box = make_box(tmp_path, size=SMALL)
    assert box.append(line(1))
    assert not box.append(b"x" * SMALL)
    assert box.append(line(2))
    assert collect(box) == line(1) + line(2)


def test_a_sealed_box_takes_nothing_and_can_be_drained(tmp_path: Path) -> None:
    """Closing is in two steps, so that a line of the last moment is not lost."""
    before = COUNTERS.value("dropped.closed")
    box = make_box(tmp_path)
    box.append(line(1))
    append = box.append
    box.seal("closed")
    assert not append(line(2))
    assert COUNTERS.value("dropped.closed") == before + 1
    assert collect(box) == line(1)
    assert not append(line(3)), "draining does not open it again"


def test_only_this_user_can_read_the_box(tmp_path: Path) -> None:
    """The folder is 0700 and the box 0600, whatever the umask; the size never changes."""
    old = os.umask(0)
    try:
        box = make_box(tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(box.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(box.path.stat().st_mode) == 0o600
    assert box.path.stat().st_size == box.facts.size
    assert box.path.stat().st_blocks * 512 >= box.facts.size, "all blocks are reserved"


def test_the_header_tells_whose_box_it_is(tmp_path: Path) -> None:
    """A reader finds the process, the worker's stamp and what was drained."""
    box = make_box(tmp_path)
    for number in range(1, 6):
        box.append(line(number))
    box.stamp(123, 5, dropped=2)
    found = read_box(box.path)
    assert found.facts == box.facts
    assert found.state is not None
    assert (found.state.stamp_ns, found.state.last_seq, found.state.closed) == (123, 5, False)
    assert found.state.dropped == 2
    assert [one.key for one in found.lines] == [("p", number) for number in range(1, 6)]
    assert not found.skipped
    drained = len(collect(box))
    again = read_box(box.path)
    assert again.state is not None
    assert again.state.drained[0] == found.state.drained[0] + drained


def test_closing_removes_the_box_and_its_folder(tmp_path: Path) -> None:
    """A box drained and closed in order leaves nothing behind."""
    box = make_box(tmp_path)
    box.seal("closed")
    box.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_box_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """When there is no room for the box, no half of one stays."""
    with pytest.raises(OSError, match="space|large"):
        make_box(tmp_path, size=1 << 60)
    assert list((tmp_path / BOX_FOLDER).iterdir()) == []


def test_a_kill_takes_nothing_back(tmp_path: Path) -> None:
    """What was appended before SIGKILL is in the box, whole, though nothing was drained."""
    text = """
        import os, signal, sys
        from pathlib import Path
        from tests.journal.making import line, make_box
        box = make_box(Path(sys.argv[1]))
        for number in range(2000):
            assert box.append(line(number))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(program(text, tmp_path), check=False)
    assert done.returncode == -signal.SIGKILL
    [path] = (tmp_path / BOX_FOLDER).iterdir()
    found = read_box(path)
    assert [one.key[1] for one in found.lines] == list(range(2000))
    assert not found.skipped


@pytest.mark.needs("strace")
def test_appending_makes_no_system_call(tmp_path: Path) -> None:
    """The caller's path stays in the process: strace sees nothing between two marks."""
    text = """
        import gc, os, sys
        from pathlib import Path
        from tests.journal.making import line, make_box
        box = make_box(Path(sys.argv[1]))
        lines = [line(number) for number in range(3000)]
        gc.disable()
        os.access("/mark-1", 0)
        for one in lines:
            box.append(one)
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
