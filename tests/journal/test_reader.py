"""Reading: whole records before and after any damage, and a word on what was skipped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from otel_ext.journal.read.rings import read_ring
from otel_ext.journal.read.scanner import Line, Located, Skipped, read_records, scan
from otel_ext.record.codec import encode_compat_line, encode_line
from otel_ext.record.sanitise.values import MAX_LINE_BYTES
from tests.journal.builders import (
    KIB,
    damage_in,
    line,
    lines_in,
    make_ring,
    record,
    run,
    running,
    start,
)


def written(tmp_path: Path, content: bytes) -> Path:
    """Return a file that holds `content`."""
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    return path


def test_whole_records_come_with_their_offsets(tmp_path: Path) -> None:
    """Each record has the offset of its line."""
    content = b"".join(map(line, range(3)))
    found = list(read_records(written(tmp_path, content)))
    assert found == [Located(number * len(line(0)), record(number)) for number in range(3)]


A, B, C = line(1), line(2), line(3)
CASES: dict[str, tuple[bytes, list[int], list[tuple[int, int, str]] | None]] = {
    "torn end": (A + B[:50], [1], [(len(A), 50, "torn")]),
    "torn and restarted": (A + B[:50] + b"\n" + C, [1, 3], [(len(A), 50, "torn")]),
    "torn, then joined": (A + B[:50] + C, [1, 3], [(len(A), 50, "torn")]),
    "NUL run": (A + b"\0" * 5000 + B, [1, 2], [(len(A), 5000, "nul")]),
    "NUL run at the end": (A + b"\0" * 5000, [1], [(len(A), 5000, "nul")]),
    "megabytes of NUL": (A + b"\0" * 3_000_000 + B, [1, 2], [(len(A), 3_000_000, "nul")]),
    "garbage line": (A + b"\xff\xfe\x00hello\n" + B, [1, 2], [(len(A), 8, "garbage")]),
    "no newline between": (A[:-1] + B, [1, 2], []),
    "a newline became a letter": (A[:-1] + b"x" + B, [1, 2], [(len(A) - 1, 1, "garbage")]),
    "JSON, but no record": (A + b'{"a": 1}\n[1, 2]\n7\n' + B, [1, 2], None),
    "empty lines": (A + b"\n\n\n" + B, [1, 2], []),
    "blank line": (A + b"  \n" + B, [1, 2], [(len(A), 2, "not a record")]),
    "unterminated but whole": (A + B[:-1], [1, 2], []),
    "line without end": (A + b"x" * 3_000_000, [1], [(len(A), 3_000_000, "too long")]),
    "line too long": (A + b"x" * 3_000_000 + b"\n" + B, [1, 2], None),
    "half a record without end": (B[:60] + b"x" * 3_000_000 + A + B, [1, 2], None),
    "bracketed garbage": (A + b"{" * 100_000 + b"}" * 100_000 + b"\n" + B, [1, 2], None),
    "deep nesting": (A + b"[" * 500_000 + b"\n" + B, [1, 2], None),
}


@pytest.mark.parametrize("name", CASES)
def test_damage_is_stepped_over(tmp_path: Path, name: str) -> None:
    """Records before and after the damage are found, and the skipped range is reported."""
    content, seqs, skipped = CASES[name]
    path = written(tmp_path, content)
    assert [one.meta["seq"] for one in lines_in(path)] == seqs
    if skipped is not None:
        assert [tuple(one) for one in damage_in(path)] == skipped
    else:
        assert damage_in(path)


def test_lines_of_compat_mode_are_found_in_damage_too(tmp_path: Path) -> None:
    """A line that begins with the top-level timestamp is found after garbage, too."""
    compat = encode_compat_line(record(2))
    path = written(tmp_path, line(1) + b"\xff garbage " + compat + line(3))
    assert [one.meta["seq"] for one in lines_in(path)] == [1, 2, 3]
    assert [one.length for one in damage_in(path)] == [10]


def test_the_longest_line_is_read(tmp_path: Path) -> None:
    """A record of the greatest allowed length is read whole."""
    texts = {f"text {number}": "x" * 65_000 for number in range(16)}
    long = encode_line(record(2)._replace(attributes=texts))
    assert MAX_LINE_BYTES - 10_000 < len(long) <= MAX_LINE_BYTES
    path = written(tmp_path, line(1) + long + line(3))
    assert [one.meta["seq"] for one in lines_in(path)] == [1, 2, 3]
    assert not damage_in(path)


def test_a_record_that_cannot_be_decoded_is_skipped(tmp_path: Path) -> None:
    """A line that looks like a record but breaks the format is reported, not raised."""
    broken = line(2).replace(b'"version":2', b'"version":9')
    path = written(tmp_path, line(1) + broken + line(3))
    found = list(read_records(path))
    assert [one.record.seq for one in found if isinstance(one, Located)] == [1, 3]
    assert [one.reason for one in found if isinstance(one, Skipped)] == ["not a record"]


def test_what_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    """A missing file and a folder are reported as unreadable."""
    assert list(scan(tmp_path / "missing")) == [Skipped(0, 0, "unreadable")]
    assert list(scan(tmp_path)) == [Skipped(0, 0, "unreadable")]
    assert read_ring(tmp_path / "missing").skipped == (Skipped(0, 0, "unreadable"),)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A file of 60 MB, half of it damage, is read in a few megabytes."""
    text = """
        import resource, sys
        from pathlib import Path
        from otel_ext.journal.read.scanner import Line, scan
        from tests.journal.builders import line
        path = Path(sys.argv[1])
        with path.open("wb") as file:
            for number in range(30):
                file.write(line(number) * 3000)
                file.write(bytes(500_000) + b"x" * 500_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = sum(isinstance(item, Line) for item in scan(path))
        print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    count, grown_kib = map(int, run(text, tmp_path / "big.jsonl").split())
    assert count == 90_000
    assert grown_kib < 24 * KIB


def test_reading_can_begin_in_the_middle(tmp_path: Path) -> None:
    """A follower continues where it stopped, and offsets stay those of the file."""
    path = written(tmp_path, line(1) + line(2) + line(3))
    found = [item for item in scan(path, len(line(1))) if isinstance(item, Line)]
    assert [(one.offset, one.meta["seq"]) for one in found] == [
        (len(line(1)), 2),
        (2 * len(line(1)), 3),
    ]


def test_a_ring_buffer_without_its_header_still_gives_its_lines(tmp_path: Path) -> None:
    """With a damaged header the lines are still found, and the damage is reported."""
    ring = make_ring(tmp_path)
    for number in range(50):
        ring.append(line(number))
    content = bytearray(ring.path.read_bytes())
    for at in range(0, 4096, 7):
        content[at] ^= 0xA5
    ring.path.write_bytes(content)
    found = read_ring(ring.path)
    assert found.facts is None
    assert [one.key[1] for one in found.lines] == list(range(50))
    assert found.skipped == (Skipped(0, 4096, "garbage"),)


@pytest.mark.parametrize("content", [b"", b"x", b"OTXBOX\r\n", b"\0" * 100_000, b"\xff" * 50_000])
def test_any_bytes_for_a_ring_buffer(tmp_path: Path, content: bytes) -> None:
    """Any other file gives no lines and no error."""
    path = tmp_path / "some.ring"
    path.write_bytes(content)
    found = read_ring(path)
    assert found.facts is None
    assert found.lines == ()


def test_the_ring_buffer_of_a_stopped_process_can_be_read(tmp_path: Path) -> None:
    """The undrained lines of a hung process can be read without its help."""
    text = """
        import os, signal, sys
        from pathlib import Path
        from otel_ext.record.codec import encode_line
        from tests.journal.builders import line, make_ring, start
        ring = make_ring(Path(sys.argv[1]))
        ring.append(encode_line(start(1)))
        print(ring.path, flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    """
    with running(text, tmp_path) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        found = read_ring(path)
        assert [one.meta["event"] for one in found.lines] == [start(1).event]


def test_a_ring_buffer_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """Reading it while it is written and drained never raises and yields only real lines."""
    text = """
        import sys, time
        from pathlib import Path
        from tests.journal.builders import line, make_ring
        ring = make_ring(Path(sys.argv[1]), size=1 << 18)
        print(ring.path, flush=True)
        number = 0
        while True:
            number += 1
            ring.append(line(number, name="n" * (number % 400)))
            if number % 100 == 0:
                ring.drain(len)
    """
    with running(text, tmp_path) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        seen = reads = 0
        deadline = time.monotonic() + 60
        while (reads < 150 or seen <= 1_000) and time.monotonic() < deadline:
            reads += 1
            found = read_ring(path)
            for one in found.lines:
                number = one.key[1]
                assert one.data + b"\n" == line(number, name="n" * (number % 400))
            seen += len(found.lines)
        assert seen > 1_000
